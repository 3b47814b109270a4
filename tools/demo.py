"""The first minutes: trains a memory on a task, plays it, films it, and names what comes next.

`make demo` runs it. What it does are three commands of `run_atari.py`, printed as they would be
typed.
"""

import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import run_atari
from experiment.files import unused_folder
from experiment.live import duration

TASK = (
    "key_value: four values are bound to four keys, then every key is asked for.\n"
    "A guess is right one time in eight: chance is 0.125, and 1 is perfect."
)
NEXT = """Three things to do next:
  .venv/bin/python run_atari.py watch results/pong/rdn/seed1    # a film of a game of Pong
  make pong                                                     # train on Pong yourself
  .venv/bin/python run_atari.py sweep --config configs/memory/key_value.yaml \\
      --cores lstm,rdn --seeds 3 --out runs/key_value           # which memory is better at it?"""


def commands(run: Path) -> Iterator[list[str]]:
    """Yields what is typed, for a run in a folder."""
    config = "configs/memory/key_value.yaml"
    shorter = ["--total_frames", "200000"]  # a third of the published runs': enough for this core
    yield ["train", "--config", config, "--core.kind", "rdn", *shorter, "--run_dir", str(run)]
    yield ["evaluate", str(run)]
    yield ["watch", str(run), "--episodes", "3", "--out", str(run / "memory.gif")]


def main() -> int:
    """Runs them; returns the first exit code that is not 0, of a mistake or an interruption."""
    began, run = time.monotonic(), unused_folder(Path("runs/demo"))
    print(TASK, flush=True)
    for command in commands(run):
        print(f"\n$ python run_atari.py {shlex.join(command)}", flush=True)
        if code := run_atari.main(command):
            return code
    print(f"\nThat took {duration(time.monotonic() - began)}. Its memory at work: {run}/memory.gif")
    print(NEXT)
    return 0


if __name__ == "__main__":
    sys.exit(main())
