"""Whether commits train to the same weights, bit for bit, and play the same games with them.

`python -m benchmarks.same_weights COMMIT COMMIT ...` trains one memory task serially at each one,
with the same seed on one thread, and evaluates the result. Weights are compared tensor by tensor,
whatever they are called; each commit reads its own checkpoint. With `--policies FOLDER ...` nothing
is trained: each commit plays with its own files of those published policies, in whatever format.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.table import Table

from benchmarks.result_file import show, write_result
from experiment.provenance import ROOT, provenance

TRAIN = ["train", "--config", "configs/smoke.yaml", "--num_threads", "1", "--seed", "1"]
EVALUATE = ["evaluate", "run", "--episodes", "100", "--json"]
PLAY = ["--episodes", "4", "--json"]
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


def trained(tree: Path) -> dict[str, Any]:
    """Returns hashes of the weights and the games of a run that the code of a tree trains."""
    _said(tree, "run_atari.py", *TRAIN, "--run_dir", "run")
    hashes = sorted(json.loads(_said(tree, "-c", HASHES)))
    return {
        "num_tensors": len(hashes),
        "weights_sha256": _sha256(hashes),
        **_played(_said(tree, "run_atari.py", *EVALUATE)),
    }


def played(tree: Path, policies: Sequence[str]) -> dict[str, Any]:
    """Returns hashes of the games that the code of a tree plays with its published policies."""
    return {
        folder: _played(_said(tree, "run_atari.py", "evaluate", folder, *PLAY))
        for folder in policies
    }


def _played(said: str) -> dict[str, Any]:
    """Returns what `evaluate --json` says of its games."""
    episodes = json.loads(said)["episodes"]
    if isinstance(episodes, list):  # of one game each, before they were lists by field
        returns = [episode["return"] for episode in episodes]
        steps = [episode["steps"] for episode in episodes]
    else:
        returns, steps = episodes["return"], episodes["steps"]
    return {
        "num_games": len(returns),
        "returns_sha256": _sha256(returns),
        "num_steps": sum(steps),
        "steps_sha256": _sha256(steps),
    }


def _check_out(commit: str, tree: Path) -> str:
    """Puts the files of a commit into a folder; returns its whole name.

    Raises:
        CalledProcessError: there is no such commit.
    """
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", str(ROOT), str(tree)], check=True)
    subprocess.run(["git", "checkout", "--quiet", "--detach", commit], cwd=tree, check=True)
    return _said(tree, None, "git", "rev-parse", "HEAD").strip()


def _said(folder: Path, program: str | None, *arguments: str) -> str:
    """Returns what a program of Python, or a command of its own, prints in a folder."""
    command = [*arguments] if program is None else [sys.executable, program, *arguments]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}  # another number may round otherwise
    done = subprocess.run(
        command, cwd=folder, env=one_thread, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def _sha256(values: list[Any]) -> str:
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def main(arguments: list[str]) -> int:
    """Trains, prints and writes the result file; returns 1 where anything differs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.same_weights", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("commits", nargs="+", help="two or more")
    parser.add_argument(
        "--policies",
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="of published runs, to play with",
    )
    given = parser.parse_args(arguments)
    if len(given.commits) < 2:
        parser.error("one commit alone is like itself: name two or more")
    name, commands = "same_weights", {"train": TRAIN, "evaluate": EVALUATE}
    does: Callable[[Path], dict[str, Any]] = trained
    if given.policies:
        name, commands = "same_games", {"play": ["evaluate", "FOLDER", *PLAY]}
        does = partial(played, policies=given.policies)
    rows = []
    with TemporaryDirectory() as folder:
        for number, named in enumerate(given.commits):
            tree = Path(folder) / str(number)
            rows.append({"commit": _check_out(named, tree), **does(tree)})
    found = Table(*rows[0])
    for row in rows:
        commit, *values = row.values()
        found.add_row(commit[:7], *(_sha256([value])[:12] for value in values))
    report = {**provenance(), **commands, "rows": rows}
    show(report, [found], write_result(name, report), as_json=False)
    return 0 if all({**row, "commit": ""} == {**rows[0], "commit": ""} for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
