"""Copies what is worth keeping of ended, evaluated runs into `results/`.

`python -m benchmarks.publish runs/pong results/pong` takes every run folder below the first path to
the same place below the second: config, provenance, metrics and the sampled evaluation of its last
weights; of seed 1 also the weights alone, `policy.pt`. What is there already is left as it is.
"""

import shutil
import sys
from pathlib import Path

from agents.evaluation.saved_policy import export_policy
from benchmarks.pages.files import read_json

COPIED = ("config.yaml", "provenance.json", "metrics.jsonl")
ENDED = ("finished", "stopped")
MAX_POLICY_BYTES = 5_000_000


def publish_all(runs: Path, results: Path) -> list[Path]:
    """Publishes the finished and the stopped runs below a folder; returns the new folders.

    Raises:
        ValueError: an ended run has no evaluation, or its policy is too large to keep.
    """
    published = []
    for status in sorted(runs.rglob("status.json")):
        target = results / status.parent.relative_to(runs)
        if read_json(status)["status"] in ENDED and not target.exists():
            publish(status.parent, target)
            published.append(target)
    return published


def publish(run: Path, target: Path) -> None:
    """Publishes one run; see `publish_all`."""
    evaluation = last_evaluation(run)
    target.mkdir(parents=True)
    for name in COPIED:
        shutil.copyfile(run / name, target / name)
    shutil.copyfile(evaluation, target / "evaluation.json")
    if target.name == "seed1":
        export_policy(run, target / "policy.pt")
        size = (target / "policy.pt").stat().st_size
        if size > MAX_POLICY_BYTES:
            raise ValueError(f"{target / 'policy.pt'} has {size} bytes; at most {MAX_POLICY_BYTES}")


def last_evaluation(run: Path) -> Path:
    """Returns the newest sampled evaluation of a run's last weights.

    Raises:
        ValueError: there is none.
    """
    found = sorted((run / "evaluation").glob("*-sampled-*.json"))
    if not found:
        raise ValueError(f"{run} has no sampled evaluation; run: run_atari.py evaluate {run}")
    return found[-1]


if __name__ == "__main__":
    for folder in publish_all(Path(sys.argv[1]), Path(sys.argv[2])):
        print(folder)
