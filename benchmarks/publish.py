"""Copies what is worth keeping of ended, evaluated runs into `results/`.

`python -m benchmarks.publish runs/pong results/pong [policies]` takes every run folder below the
first path to the same place below the second: config, provenance, metrics and the sampled
evaluations of its last weights; with the word `policies`, of seed 1 also the weights alone,
`policy.pt`. What is there already is left as it is.
"""

import json
import shutil
import sys
from pathlib import Path

from agents.evaluation.saved_policy import export_policy
from agents.experiment.metrics import read_metrics
from benchmarks.pages.files import read_json

COPIED = ("config.yaml", "provenance.json")
ENDED = ("finished", "stopped")
MAX_POLICY_BYTES = 5_000_000
MAX_METRICS_BYTES = 350_000


def publish_all(runs: Path, results: Path, *, with_policies: bool = False) -> list[Path]:
    """Publishes the finished and the stopped runs below a folder; returns the new folders.

    Raises:
        ValueError: an ended run has no evaluation, or its policy is too large to keep.
    """
    published = []
    for status in sorted(runs.rglob("status.json")):
        target = results / status.parent.relative_to(runs)
        if read_json(status)["status"] in ENDED and not target.exists():
            publish(status.parent, target, with_policies=with_policies)
            published.append(target)
    return published


def publish(run: Path, target: Path, *, with_policies: bool) -> None:
    """Publishes one run; see `publish_all`."""
    evaluation = last_evaluation(run)
    target.mkdir(parents=True)
    for name in COPIED:
        shutil.copyfile(run / name, target / name)
    publish_metrics(run / "metrics.jsonl", target / "metrics.jsonl")
    shutil.copyfile(evaluation, target / "evaluation.json")
    for other in evaluation.parent.glob(f"{evaluation.stem}-length*.json"):
        suffix = other.stem.removeprefix(evaluation.stem)
        shutil.copyfile(other, target / f"evaluation{suffix}.json")
    if with_policies and target.name == "seed1":
        export_policy(run, target / "policy.pt")
        size = (target / "policy.pt").stat().st_size
        if size > MAX_POLICY_BYTES:
            raise ValueError(f"{target / 'policy.pt'} has {size} bytes; at most {MAX_POLICY_BYTES}")


def publish_metrics(source: Path, target: Path) -> None:
    """Copies the rows; where they are many, without the list of each row's single games."""
    rows = read_metrics(source)
    if source.stat().st_size > MAX_METRICS_BYTES:
        rows = [{tag: value for tag, value in row.items() if tag != "games"} for row in rows]
    target.write_text("".join(json.dumps(row) + "\n" for row in rows))


def last_evaluation(run: Path) -> Path:
    """Returns the newest sampled evaluation of a run's last weights, at its own settings.

    Raises:
        ValueError: there is none.
    """
    files = (run / "evaluation").glob("*-sampled-*.json")
    found = sorted(file for file in files if "-length" not in file.name)
    if not found:
        raise ValueError(f"{run} has no sampled evaluation; run: run_atari.py evaluate {run}")
    return found[-1]


if __name__ == "__main__":
    from_folder, to_folder, *rest = sys.argv[1:]
    wanted = rest == ["policies"]
    for folder in publish_all(Path(from_folder), Path(to_folder), with_policies=wanted):
        print(folder)
