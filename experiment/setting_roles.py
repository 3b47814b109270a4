"""What part a setting plays in a run, said at its field: `field(..., metadata={"role": "name"})`.

This is the one list of roles. Whatever treats settings differently reads their roles here.
"""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

ROLES = {
    "": "it decides what is learned",
    "identity": "it decides what is trained",
    "name": "it names the run",
    "resumable": "it changes what is learned, but a run may go on with another value",
    "incidental": "it says where and how a run computes, logs and saves, not what",
}
"""Roles, each with what is true of such a setting; one without metadata has the first."""
MAY_CHANGE = ("resumable", "incidental")
"""Roles of settings that may change when a run goes on."""

Changes = Mapping[str, Mapping[str, Any]]
"""Values of settings by full name: "from" and "to"."""
NO_CHANGES: Changes = {}


def setting_roles(kind: type, role: str = "", prefix: str = "") -> dict[str, str]:
    """Returns the role of every setting of a dataclass, by full name such as "learner.discount".

    Settings within a field that is a dataclass have that field's role, but for those that say
    their own.
    """
    kinds, roles = get_type_hints(kind), dict[str, str]()
    for field in fields(kind):
        name, own = prefix + field.name, field.metadata.get("role", role)
        assert own in ROLES, f"{name} has an unknown role, {own!r}"
        if is_dataclass(kinds[field.name]):
            roles |= setting_roles(kinds[field.name], own, f"{name}.")
        else:
            roles[name] = own
    return roles


def role_of(name: str, roles: Mapping[str, str]) -> str:
    """Returns the role of a setting; one within a field of any names has that field's."""
    while name not in roles:
        name, dot, _ = name.rpartition(".")
        assert dot, "a setting belongs to a field"
    return roles[name]


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Changes:
    """Returns the settings, by full name, that differ between two values of all."""
    return {
        name: {"from": before.get(name), "to": after.get(name)}
        for name in dict.fromkeys((*after, *before))
        if before.get(name) != after.get(name)
    }


def refuse_fixed(changes: Changes, roles: Mapping[str, str]) -> None:
    """Raises ValueError, with names and reasons, where a change is of a setting that a run keeps.

    Args:
        changes: of a run that goes on, by full name.
        roles: of all settings.
    """
    refused = [
        f"{name} cannot change from {change['from']} to {change['to']}: "
        f"{ROLES[role_of(name, roles)]}"
        for name, change in changes.items()
        if role_of(name, roles) not in MAY_CHANGE
    ]
    if refused:
        raise ValueError("; ".join(refused))
