"""The shipped configs: all load, and the commands of the 2021 protocol differ in their core."""

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from agents.impala.config import TrainConfig
from experiment.settings import plain_values, settings_from_arguments, settings_from_values
from run_atari import train_parser
from sequences.config import SequenceConfig, complete_settings

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_config_loads_and_survives_a_round_trip(path):
    kind = SequenceConfig if path.parent.name == "sequences" else TrainConfig
    config = settings_from_values(kind, yaml.safe_load(path.read_text()))
    again = yaml.safe_load(yaml.safe_dump(plain_values(config)))
    assert settings_from_values(kind, again) == config
    if kind is SequenceConfig:
        complete_settings(config)


def test_the_commands_of_the_2021_protocol_differ_in_their_core_alone():
    page = (ROOT / "docs/reproduce.md").read_text()
    parser, found = train_parser(), []
    for command in re.findall(r"^python run_atari\.py train (.+)$", page, re.M):
        found.append(settings_from_arguments(TrainConfig, parser, shlex.split(command)))
    assert {config.core.kind: config.core.bptt for config in found} == {
        "lstm": "full",  # as their LSTM and feedforward agents were trained
        "feedforward": "full",
        "linear_transformer": 1,
        "delta_net": 1,
        "delta_rnn": 1,
        "rdn": 1,
    }
    assert len(found) == 6
    assert found[0].env.preset == "paper2021"
    assert all(replace(config, core=found[0].core) == found[0] for config in found)


@pytest.mark.parametrize("name", ["parity", "word_problem"])
def test_where_reward_and_action_tell_the_state_the_policy_sees_neither(name):
    values = yaml.safe_load((ROOT / f"configs/memory/{name}.yaml").read_text())
    config = settings_from_values(TrainConfig, values)
    assert not config.policy.last_reward
    assert not config.policy.last_action


def test_the_recipe_is_the_same_with_one_frame_and_in_other_games():
    pong, one, atari = (
        settings_from_values(TrainConfig, yaml.safe_load((ROOT / "configs" / name).read_text()))
        for name in ("pong.yaml", "pong_one_frame.yaml", "atari.yaml")
    )
    assert one == replace(pong, env=replace(pong.env, frame_stack=1))
    assert atari == replace(pong, game=atari.game, total_frames=10_000_000)
