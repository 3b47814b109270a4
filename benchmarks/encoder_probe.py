"""How soon the small encoder's features tell where Pong's ball and paddles are.

Run `python -m benchmarks.encoder_probe`. On frames of random play, encoder and a linear layer learn
to predict four positions that the emulator's memory holds. A policy can use only what is in the
features, so what helps here should help there, in seconds instead of minutes. Writes
`results/encoder_probe_*.json`, shown in docs/results.md.
"""

from collections.abc import Callable
from typing import Any

import envpool
import numpy as np
import torch
from rich.table import Table
from torch import Tensor, nn

from benchmarks.result_file import show, write_result
from experiment.provenance import provenance
from models.encoders import EncoderConfig, make_encoder
from models.encoders.small import SmallTrunk

NUM_ENVS, WARM_UP_STEPS, STEPS = 16, 100, 600
NUM_TRAINED = 8_000  # of NUM_ENVS * STEPS frames; the rest measures
UPDATES, BATCH_SIZE, LEARNING_RATE = 300, 256, 4e-4
SHAPE = (4, 84, 84)
POSITIONS = {"ball x": 49, "ball y": 54, "own paddle": 51, "other paddle": 50}
"""Bytes of Pong's memory (Anand et al. 2019, https://arxiv.org/abs/1906.08226)."""


class UncentredTrunk(SmallTrunk):
    """The small encoder's convolutions with kernels as they are."""

    def first_kernels(self) -> Tensor:
        """Returns the first layer's weight."""
        return self.first.weight


def _encoder(*, centred: bool, normalised: bool) -> nn.Module:
    encoder = make_encoder(EncoderConfig(kind="small"), SHAPE, "uint8")
    if not centred:
        encoder.trunk.__class__ = UncentredTrunk
    if not normalised:
        encoder.norm = nn.Identity()
    return encoder


VARIANTS: dict[str, Callable[[], nn.Module]] = {
    "as shipped: centred kernels, normalised features": lambda: _encoder(
        centred=True, normalised=True
    ),
    "kernels not centred": lambda: _encoder(centred=False, normalised=True),
    "features not normalised": lambda: _encoder(centred=True, normalised=False),
    "neither": lambda: _encoder(centred=False, normalised=False),
}


def random_play(seed: int) -> tuple[Tensor, Tensor]:
    """Returns frames [N, 4, 84, 84] uint8 and standardised positions [N, 4] float32."""
    env = envpool.make_gymnasium("Pong-v5", num_envs=NUM_ENVS, seed=seed)
    rng = np.random.default_rng(seed)
    env.reset()
    frames, positions = [], []
    for step in range(WARM_UP_STEPS + STEPS):
        observation, _, _, _, info = env.step(rng.integers(0, 6, NUM_ENVS))
        if step >= WARM_UP_STEPS:
            frames.append(observation.copy())
            positions.append(info["ram"][:, list(POSITIONS.values())].astype(np.float32))
    env.close()
    where = torch.from_numpy(np.concatenate(positions))
    return torch.from_numpy(np.concatenate(frames)), (where - where.mean(0)) / where.std(0)


def unexplained(make: Callable[[], nn.Module], frames: Tensor, where: Tensor) -> list[float]:
    """Returns the share of each position's variance, in unseen frames, left after training."""
    torch.manual_seed(0)
    model = nn.Sequential(make(), nn.Linear(256, len(POSITIONS)))
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    for _ in range(UPDATES):
        rows = torch.randint(0, NUM_TRAINED, (BATCH_SIZE,))
        loss = (model(frames[rows]) - where[rows]).square().sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        errors = (model(frames[NUM_TRAINED:]) - where[NUM_TRAINED:]).square().mean(0)
    return [float(error) for error in errors]


def main() -> None:
    """Measures, prints and writes."""
    frames, where = random_play(seed=1)
    rows: list[dict[str, Any]] = [
        {"encoder": name, "unexplained": unexplained(make, frames, where)}
        for name, make in VARIANTS.items()
    ]
    report = {**provenance(), "positions": list(POSITIONS), "updates": UPDATES, "rows": rows}
    table = Table("encoder", *POSITIONS, title="unexplained variance")
    for row in rows:
        table.add_row(row["encoder"], *(f"{error:.3f}" for error in row["unexplained"]))
    show(report, [table], write_result("encoder_probe", report), as_json=False)


if __name__ == "__main__":
    main()
