"""The benchmark of a state's growth within a game."""

import pytest

from agents.evaluation.saved_policy import SavedPolicy
from agents.impala.config import TrainConfig
from agents.impala.resolve import make_policy
from benchmarks.state_growth import NUM_GAMES, norms
from envs import EnvConfig, make_env
from models.cores import CoreConfig


@pytest.mark.parametrize(("kind", "num_tensors"), [("lstm", 2), ("feedforward", 0)])
def test_every_state_tensor_has_a_norm_and_a_core_may_have_none(kind, num_tensors, one_thread):
    config = TrainConfig(
        game="tmaze",
        env=EnvConfig(length=4),
        core=CoreConfig(kind=kind, hidden_size=8, num_layers=1),
    )
    spec = make_env(config.game, config.env, 1, 0).spec
    saved = SavedPolicy(make_policy(config, spec), config, spec, updates=0, frames=0)
    (row,) = norms(saved)  # games of so few steps have ended at the next of STEPS
    assert (row["step"], row["num_games"]) == (1, NUM_GAMES)
    assert len(row["norms"]) == num_tensors
    assert all(norm > 0 for norm in row["norms"])
