"""Copies what is worth keeping of ended, evaluated runs into `results/`.

`python -m tools.publish runs/pong results/pong [policies]` takes every run folder below the
first path to the same place below the second: config, provenance, metrics, and the evaluation
of its last weights by the settings that make a score, at every length, and by those settings but
greedy where there is one; with the word `policies`, of seed 1 also the weights
alone, `policy.safetensors`.
What is there already is left as it is.
"""

import json
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from agents.evaluation.evaluate import EvaluationConfig, result_path
from agents.evaluation.saved_policy import export_policy
from agents.impala.config import config_from_values
from experiment.checkpoint import newest_number
from experiment.metrics import read_metrics
from experiment.run_dir import read_config
from tools.pages.files import read_json

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
    """Publishes one run, whole or not at all; see `publish_all`."""
    evaluation = evaluation_of(run)
    if not evaluation.is_file():
        raise ValueError(f"there is no {evaluation}; run: run_atari.py evaluate {run}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent) as folder:
        unfinished = Path(folder) / target.name
        unfinished.mkdir()
        fill(unfinished, run, evaluation, with_policies=with_policies)
        unfinished.rename(target)


def fill(target: Path, run: Path, evaluation: Path, *, with_policies: bool) -> None:
    """Copies what is published of a run into an empty folder of the same name."""
    for name in COPIED:
        shutil.copyfile(run / name, target / name)
    publish_metrics(run / "metrics.jsonl", target / "metrics.jsonl")
    shutil.copyfile(evaluation, target / "evaluation.json")
    for other in evaluation.parent.glob(f"{evaluation.stem}-length*.json"):
        suffix = other.stem.removeprefix(evaluation.stem)
        shutil.copyfile(other, target / f"evaluation{suffix}.json")
    if (greedy := evaluation_of(run, greedy=True)).is_file():
        shutil.copyfile(greedy, target / "evaluation-greedy.json")
    if with_policies and target.name == "seed1":
        export_policy(run, target / "policy.safetensors")
        size = (target / "policy.safetensors").stat().st_size
        if size > MAX_POLICY_BYTES:
            raise ValueError(
                f"{target / 'policy.safetensors'} has {size} bytes; at most {MAX_POLICY_BYTES}"
            )


def publish_metrics(source: Path, target: Path) -> None:
    """Copies the rows; where they are many, without the list of each row's single games."""
    rows = read_metrics(source)
    if source.stat().st_size > MAX_METRICS_BYTES:
        rows = [{tag: value for tag, value in row.items() if tag != "games"} for row in rows]
    target.write_text("".join(json.dumps(row) + "\n" for row in rows))


def evaluation_of(run: Path, *, greedy: bool = False) -> Path:
    """Returns where a run's last weights are evaluated by the settings that make a score."""
    game = config_from_values(read_config(run)).game
    updates = newest_number(run / "checkpoints")
    return result_path(run, game, updates, EvaluationConfig(greedy=greedy))


if __name__ == "__main__":
    runs_and_results, wanted = sys.argv[1:3], sys.argv[3:]
    if len(runs_and_results) != 2 or wanted not in ([], ["policies"]):
        sys.exit("usage: python -m tools.publish RUNS RESULTS [policies]")
    for path in publish_all(*map(Path, runs_and_results), with_policies=bool(wanted)):
        print(path)
