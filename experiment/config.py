"""The settings that every run has, whatever it trains."""

import math
from dataclasses import dataclass, field
from typing import Literal

from experiment.bounds import refuse_below

MAX_THREADS = 1024
"""Where a process cannot begin its threads, the system ends it without a word."""


Service = Literal["none", "wandb"]
"""That rows of metrics may go to."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """When a run logs and saves, where, and with what; what it trains adds settings of its own.

    The metadata of a field says what role the setting plays (`experiment/setting_roles.py`).

    Args:
        seed: root of every random stream of the run.
        run_dir: folder of the run; null derives one from what is trained and the seed.
        device: where the model computes; auto takes CUDA where there is one.
        num_threads: torch's threads; 0 leaves torch's own choice, which differs between machines.
            Results are the same bit for bit under the same number alone; provenance.json has it.
        log_interval_seconds: seconds between rows of metrics; 0 logs every step.
        checkpoint_interval_seconds: seconds between checkpoints; 0 saves after every step.
        keep_checkpoints: newest checkpoints kept.
        track: a service that gets every row of metrics too; wandb is Weights & Biases, an extra.
    """

    seed: int = field(default=1, metadata={"role": "name"})
    run_dir: str | None = field(default=None, metadata={"role": "name"})
    device: Literal["auto", "cpu", "cuda"] = field(default="auto", metadata={"role": "incidental"})
    num_threads: int = field(default=0, metadata={"role": "incidental"})
    log_interval_seconds: float = field(default=5.0, metadata={"role": "incidental"})
    checkpoint_interval_seconds: float = field(default=60.0, metadata={"role": "incidental"})
    keep_checkpoints: int = field(default=3, metadata={"role": "incidental"})
    track: Service = field(default="none", metadata={"role": "incidental"})

    def __post_init__(self) -> None:
        refuse_below(self, 0, "seed")
        refuse_below(self, 1, "keep_checkpoints")
        refuse_threads(self.num_threads)
        for name in ("log_interval_seconds", "checkpoint_interval_seconds"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be >= 0 and finite, got {getattr(self, name)}")


def refuse_threads(number: int) -> None:
    """Raises ValueError where no process can have so many threads; 0 leaves their number open."""
    if not 0 <= number <= MAX_THREADS:
        raise ValueError(f"num_threads must be in 0 to {MAX_THREADS}, got {number}")
