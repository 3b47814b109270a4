"""The shipped configs: all load, and the paper's differ in their core alone."""

from pathlib import Path

import pytest
import yaml

from agents.impala.config import config_from_values
from experiment.settings import plain_values

CONFIGS = sorted((Path(__file__).parents[1] / "configs").rglob("*.yaml"))
PAPER = [path for path in CONFIGS if path.parent.name == "paper"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_config_loads_and_survives_a_round_trip(path):
    config = config_from_values(yaml.safe_load(path.read_text()))
    assert config_from_values(yaml.safe_load(yaml.safe_dump(plain_values(config)))) == config


def test_paper_configs_differ_in_their_core_alone():
    rest, kinds = [], []
    for path in PAPER:
        values = yaml.safe_load(path.read_text())
        core = values.pop("core")
        rest.append(values)
        kinds.append(core["kind"])
        assert core["kind"] == path.stem
        recurrent_state_in_2021 = core["kind"] in ("lstm", "feedforward")
        assert core["bptt"] == ("full" if recurrent_state_in_2021 else 1)
    assert all(values == rest[0] for values in rest)
    assert len(set(kinds)) == len(PAPER) == 6
