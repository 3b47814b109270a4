"""Keeps the curves of tuning runs, also of those that were stopped, in `results/pong_tuning/`.

`python -m tools.tuning_curves FOLDER...` writes one small file for each run folder: its settings,
the commit and machine it ran on, and the means over some fifty stretches of equal length of what
had run. `--code TEXT` says how the code differed from that commit.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import yaml

from experiment.files import read_json
from experiment.metrics import read_metrics
from tools.pages.pong_tuning import RESULTS

NUM_STRETCHES = 50
EVALUATION = ("frames", "mean_return", "standard_error", "min_return", "max_return")
SETTINGS = (
    *("core", "encoder", "policy", "learner", "mode", "exact_lag", "scatter_steps"),
    *("seed", "total_frames"),
)
COLUMNS = {
    "entropy": "loss/entropy",
    "kl": "policy/first_to_last_pass_kl_nats",
    "information": "loss/information",
    "explained_variance": "loss/explained_variance",
    "step_size": "learner/learning_rate",
}
"""Curves that are means of rows of metrics, by name."""


def curves(rows: list[dict[str, Any]]) -> dict[str, list[float | None]]:
    """Returns columns: frames and seconds at the end of each stretch, and means over it.

    `return` and `steps` are means over the games that ended in a stretch, null where none did.
    """
    if not rows:
        return {}
    length = rows[-1]["frames"] / NUM_STRETCHES
    stretches: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        stretches.setdefault(int((row["frames"] - 1) / length), []).append(row)
    table = [_means(of) for of in stretches.values()]
    return {name: [row[name] for row in table] for name in table[0]}


def _means(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    games = [game for row in rows for game in row["games"]]
    means: dict[str, float | None] = {
        "frames": rows[-1]["frames"],
        "seconds": round(rows[-1]["wall_seconds"]),
        "return": _mean([points for points, _ in games], 1),
        "steps": _mean([steps for _, steps in games], 0),
    }
    for name, tag in COLUMNS.items():
        mean = _mean([row[tag] for row in rows if tag in row], 8)
        means[name] = None if mean is None else float(f"{mean:.3g}")
    return means


def _mean(values: list[float], digits: int) -> float | None:
    return round(sum(values) / len(values), digits or None) if values else None


def compact(run: Path, code: str | None) -> dict[str, Any]:
    """Returns what is kept of a run folder, and how its code differed from its commit."""
    origin = read_json(run / "provenance.json")
    settings = yaml.safe_load((run / "config.yaml").read_text())
    return {
        "commit": origin["commit"],
        **({"code": code} if code else {}),
        "date": origin["date"],
        "machine": origin["hardware"],
        "evaluations": [
            _summary(read_json(path)) for path in sorted(run.glob("evaluation/*.json"))
        ],
        "settings": {name: settings[name] for name in SETTINGS if name in settings},
        "curves": curves(list(read_metrics(run / "metrics.jsonl"))),
    }


def _summary(evaluation: dict[str, Any]) -> dict[str, Any]:
    return {name: evaluation[name] for name in EVALUATION}


def write(run: Path, code: str | None = None) -> Path:
    """Writes the file of a run folder; a column is a line."""
    kept = compact(run, code)
    lines = [f'  "{name}": {json.dumps(of)}' for name, of in kept.pop("curves").items()]
    head = [f'"{name}": {json.dumps(value)}' for name, value in kept.items()]
    path = RESULTS / f"{run.name}.json"
    if path.exists():
        raise ValueError(f"{path} exists: remove it, if it is not of another run")
    path.write_text("{" + ",\n".join([*head, '"curves": {\n' + ",\n".join(lines) + "}"]) + "}\n")
    return path


def main() -> None:
    """Writes the files of the run folders on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--code")
    RESULTS.mkdir(exist_ok=True)
    words = parser.parse_args()
    for run in words.runs:
        try:
            print(write(run, words.code))
        except (ValueError, OSError) as error:
            parser.error(str(error))


if __name__ == "__main__":
    main()
