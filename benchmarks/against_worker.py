"""Trains a memory task with the code of the folder that it is run in: see `against.py`.

Takes a task and a core; for each number on stdin it trains that many rollouts and prints the
seconds on the clock, those of the CPU, and the steps made. Works with every commit that has
`agents.impala.trainer`, so it imports little and copes with names of two ages.
"""

import sys
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentParser

GATED_SIZE = {"hidden_size": 64}
"""Of the cores that have no heads and no feed-forward net."""
SIZES: dict[str, dict[str, int]] = {"feedforward": {}, "lstm": GATED_SIZE, "gru": GATED_SIZE}


def settings(task: str, core: str) -> dict[str, Any]:
    """Returns the settings of a memory task's own file, for a core at the sizes of docs/memory."""
    values: dict[str, Any] = yaml.safe_load(Path(f"configs/memory/{task}.yaml").read_text())
    values["core"]["kind"] = core
    if core in SIZES and "lstm_size" not in values["core"]:  # once a size beside the others
        values["core"] = {"kind": core, **SIZES[core]}
    return values | {"total_frames": 10**9}


def main(task: str, core: str) -> None:
    """Answers the numbers on stdin."""
    from agents.impala.config import TrainConfig
    from agents.impala.trainer import Trainer

    parser = ArgumentParser()
    parser.add_class_arguments(TrainConfig, "run")
    config = parser.instantiate_classes(parser.parse_object({"run": settings(task, core)})).run
    config = config if isinstance(config, TrainConfig) else TrainConfig(**vars(config))
    torch.set_num_threads(1)
    trainer: Any = Trainer(config)
    rollouts = trainer.rows() if hasattr(trainer, "rows") else trainer.rollouts()
    steps = config.learner.unroll_length * config.learner.batch_size
    print(sum(p.numel() for p in trainer.policy.parameters()), flush=True)
    for line in sys.stdin:
        began, began_cpu = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            next(rollouts)
        taken = time.perf_counter() - began, time.process_time() - began_cpu
        print(*taken, int(line) * steps, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
