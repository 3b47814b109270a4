"""A small agent on a small task, trained in no time, for tests of the learning loop."""

import torch

from agents.evaluation.board import show_score
from agents.evaluation.evaluate import evaluate
from agents.evaluation.results import save_result
from agents.impala.config import LearnerConfig, TrainConfig
from envs import EnvConfig
from experiment.result_folder import result_folder
from models.cores import CoreConfig
from models.encoders import EncoderConfig

CORE = CoreConfig(kind="rdn", hidden_size=32, num_heads=2, num_layers=1, feedforward_size=32)
LEARNER = LearnerConfig(unroll_length=9, batch_size=4, num_passes=2, num_minibatches=2)
CONFIG = TrainConfig(
    game="tmaze",
    env=EnvConfig(length=5),
    core=CORE,
    encoder=EncoderConfig(kind="mlp"),
    learner=LEARNER,
    total_frames=10_000,
    seed=3,
)


def train(trainer, num_rollouts):
    rows = []
    for row in trainer.rows():
        rows.append({k: v for k, v in row.items() if not k.endswith("seconds")})
        if len(rows) == num_rollouts:
            break
    return rows


def evaluate_and_save(source, config):
    """Does what the command `evaluate` does, and prints nothing; returns file and result."""
    folder = result_folder(source)
    result = evaluate(source, config)
    path = save_result(folder, result, config)
    show_score(source, result, config)
    return path, result


def output_on(policy, rollout):
    """Returns what a policy says of a whole rollout."""
    output, _ = policy(
        rollout.observation,
        rollout.last_reward,
        rollout.last_action,
        rollout.start,
        rollout.core_state,
    )
    return output


def weights(trainer):
    return torch.cat([p.detach().flatten().clone() for p in trainer.policy.parameters()])
