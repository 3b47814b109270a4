"""The roles of settings: read off the fields, inherited, and the same for all who ask."""

from dataclasses import dataclass, field

import pytest

from agents.impala.config import TrainConfig
from experiment.setting_roles import ROLES, changed, refuse_fixed, role_of, setting_roles


@dataclass
class Inner:
    size: int = 1
    threads: int = field(default=0, metadata={"role": "incidental"})


@dataclass
class Outer:
    rate: float = 0.1
    inner: Inner = field(default_factory=Inner, metadata={"role": "identity"})
    seed: int = field(default=1, metadata={"role": "name"})


def test_a_setting_has_its_own_role_or_that_of_the_field_it_is_in():
    assert setting_roles(Outer) == {
        "rate": "",
        "inner.size": "identity",
        "inner.threads": "incidental",
        "seed": "name",
    }


def test_an_unknown_role_is_a_mistake_in_the_code():
    @dataclass
    class Misspelt:
        seed: int = field(default=1, metadata={"role": "nmae"})

    with pytest.raises(AssertionError, match="seed has an unknown role, 'nmae'"):
        setting_roles(Misspelt)


def test_what_differs_is_named_with_both_values():
    before, after = {"a": 1, "b": None, "c": "x"}, {"a": 1, "b": 2, "c": "y"}
    assert changed(before, after) == {"b": {"from": None, "to": 2}, "c": {"from": "x", "to": "y"}}
    assert changed(before, before) == {}
    assert changed({"of.x": 1}, {"of.y": 2}) == {
        "of.x": {"from": 1, "to": None},
        "of.y": {"from": None, "to": 2},
    }


def test_an_entry_of_a_setting_has_its_role():
    roles = {"core.args": "identity", "rate": ""}
    assert role_of("core.args.window", roles) == "identity"
    assert role_of("rate", roles) == ""
    with pytest.raises(ValueError, match=r"core\.args\.window cannot change from 4 to None"):
        refuse_fixed({"core.args.window": {"from": 4, "to": None}}, roles)


@pytest.mark.parametrize("role", ["", "identity", "name"])
def test_what_a_run_keeps_is_refused_with_the_reason(role):
    with pytest.raises(ValueError, match=f"x cannot change from 1 to 2: {ROLES[role]}$"):
        refuse_fixed({"x": {"from": 1, "to": 2}}, {"x": role})


@pytest.mark.parametrize("role", ["resumable", "incidental"])
def test_what_may_change_passes(role):
    refuse_fixed({"x": {"from": 1, "to": 2}}, {"x": role})


def test_what_may_change_in_a_run_is_what_was_decided():
    roles = setting_roles(TrainConfig)
    by_role = {role: {name for name, its in roles.items() if its == role} for role in ROLES}
    assert by_role["name"] == {"seed", "run_dir"}
    assert by_role["resumable"] == {
        "learner.unroll_length",
        "learner.batch_size",
        "learner.num_minibatches",
        "learner.skip_nonfinite",
        "num_actors",
        "num_groups",
        "total_frames",
    }
    assert by_role["incidental"] == {
        "env.num_threads",
        "core.kernel",
        "device",
        "num_threads",
        "log_interval_seconds",
        "checkpoint_interval_seconds",
        "keep_checkpoints",
        "milestone_interval_frames",
        "track",
    }
    sections = {name.partition(".")[0] for name in by_role["identity"]}
    assert sections == {"game", "env", "policy", "core", "encoder"}


def test_a_setting_of_a_core_alone_has_the_role_of_its_core():
    roles = setting_roles(TrainConfig)
    assert role_of("core.args.key_norm", roles) == roles["core.kind"] == "identity"
    changes = changed({"core.args.key_norm": "sum"}, {"core.args.other": 1})
    with pytest.raises(ValueError, match=r"core\.args\.key_norm cannot change from sum to None"):
        refuse_fixed(changes, roles)
