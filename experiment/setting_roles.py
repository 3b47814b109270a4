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


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Changes:
    """Returns the settings, by full name, that differ between two values of all."""
    return {
        name: {"from": before[name], "to": value}
        for name, value in after.items()
        if before[name] != value
    }


def refuse_fixed(changes: Changes, roles: Mapping[str, str]) -> None:
    """Raises ValueError, with names and reasons, where a change is of a setting that a run keeps.

    Args:
        changes: of a run that goes on, by full name.
        roles: of all settings.
    """
    refused = [
        f"{name} cannot change from {change['from']} to {change['to']}: {ROLES[roles[name]]}"
        for name, change in changes.items()
        if roles[name] not in MAY_CHANGE
    ]
    if refused:
        raise ValueError("; ".join(refused))
