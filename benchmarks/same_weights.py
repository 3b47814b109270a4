"""Whether commits train to the same weights, bit for bit, and play the same games with them.

`python -m benchmarks.same_weights COMMIT COMMIT ...` trains one memory task serially at each one,
with the same seed on one thread, and evaluates the result. Weights are compared tensor by tensor,
whatever they are called; each commit reads its own checkpoint.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.table import Table

from benchmarks.result_file import show, write_result
from experiment.provenance import ROOT, provenance

TRAIN = ["train", "--config", "configs/smoke.yaml", "--num_threads", "1", "--seed", "1"]
EVALUATE = ["evaluate", "run", "--episodes", "100", "--json"]
HASHES = """
import hashlib, json, pathlib, sys
sys.path.insert(0, ".")
try:
    from experiment.checkpoint import load_newest
except ImportError:  # before the folders were drawn anew
    from agents.experiment.checkpoint import load_newest
payload = load_newest(pathlib.Path("run/checkpoints"))
weights = payload["policy"] if "policy" in payload else payload["weights"]
print(json.dumps([hashlib.sha256(w.contiguous().numpy().tobytes()).hexdigest()
                  for w in weights.values()]))
"""


def trained(commit: str, folder: Path) -> dict[str, Any]:
    """Returns hashes of the weights and the returns at a commit, whose tree is put in a folder.

    Raises:
        CalledProcessError: a command of that commit failed.
    """
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", str(ROOT), str(folder)], check=True)
    subprocess.run(["git", "checkout", "--quiet", "--detach", commit], cwd=folder, check=True)
    _said(folder, "run_atari.py", *TRAIN, "--run_dir", "run")
    hashes = sorted(json.loads(_said(folder, "-c", HASHES)))
    episodes = json.loads(_said(folder, "run_atari.py", *EVALUATE))["episodes"]
    if isinstance(episodes, list):  # of one game each, before they were lists by field
        returns = [episode["return"] for episode in episodes]
    else:
        returns = episodes["return"]
    return {
        "commit": _said(folder, None, "git", "rev-parse", "HEAD").strip(),
        "num_tensors": len(hashes),
        "weights_sha256": _sha256(hashes),
        "num_games": len(returns),
        "returns_sha256": _sha256(returns),
    }


def _said(folder: Path, program: str | None, *arguments: str) -> str:
    """Returns what a program of Python, or a command of its own, prints in a folder."""
    command = [*arguments] if program is None else [sys.executable, program, *arguments]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def _sha256(values: list[Any]) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def main(arguments: list[str]) -> int:
    """Trains, prints and writes the result file; returns 1 where anything differs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.same_weights", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("commits", nargs="+", help="two or more")
    rows = []
    with TemporaryDirectory() as folder:
        for number, commit in enumerate(parser.parse_args(arguments).commits):
            rows.append(trained(commit, Path(folder) / str(number)))
    found = Table("commit", "weights", "returns")
    for row in rows:
        found.add_row(*(row[name][:12] for name in ("commit", "weights_sha256", "returns_sha256")))
    report = {**provenance(), "train": TRAIN, "evaluate": EVALUATE, "rows": rows}
    show(report, [found], write_result("same_weights", report), as_json=False)
    is_same = len({(row["weights_sha256"], row["returns_sha256"]) for row in rows}) == 1
    return 0 if is_same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
