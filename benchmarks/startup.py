"""How long a user waits for the first line of a command, on a terminal and in a pipe.

`python -m benchmarks.startup` begins every command in a process of its own, on a pseudo-terminal
and with its output in a pipe, notes when it first shows something, and ends it. Of the processor
time there is the whole process's up to that line.
"""

import argparse
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from rich.table import Table

from benchmarks.result_file import show, write_result
from experiment.provenance import ROOT, provenance

POLICY = str(ROOT / "results/pong/rdn/seed1")
TMAZE = str(ROOT / "configs/memory/tmaze.yaml")
FORMAL = str(ROOT / "configs/sequences/formal.yaml")
COMMANDS = {
    "train": ["train", "--config", str(ROOT / "configs/pong.yaml")],
    "evaluate": ["evaluate", POLICY, "--out", "out"],
    "watch": ["watch", POLICY, "--out", "film.mp4"],
    "compare": ["compare", str(ROOT / "results/pong")],
    "sweep": ["sweep", "--config", TMAZE, "--cores", "lstm", "--seeds", "1", "--out", "sweep"],
    "check": ["check", "lstm"],
    "bench": ["bench", "kernels", "--quick"],
    "train --help": ["train", "--help"],
    "run_sequences.py train": ["train", "--config", FORMAL],
    "run_sequences.py show": ["show", "formal"],
}
INVISIBLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\s")
PATIENCE_SECONDS = 60.0
ROUNDS = 3


def first_output(
    arguments: list[str], *, on_terminal: bool, program: str = "run_atari.py"
) -> tuple[float, float, str]:
    """Returns when a command first shows something, and what; then ends it.

    The seconds are of the clock, and of the processor.

    Raises:
        TimeoutError: it shows nothing.
    """
    ours, theirs = pty.openpty() if on_terminal else os.pipe()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with TemporaryDirectory() as folder:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, str(ROOT / program), *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        try:
            said = _read(ours, lambda text: bool(INVISIBLE.sub("", text)))
            seconds = time.monotonic() - began
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            os.close(ours)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, spent, INVISIBLE.sub(" ", said).strip()


def _read(file: int, is_enough: Callable[[str], bool]) -> str:
    said, end = "", time.monotonic() + PATIENCE_SECONDS
    while not is_enough(said):
        readable, _, _ = select.select([file], [], [], max(0.0, end - time.monotonic()))
        if not readable:
            raise TimeoutError(f"nothing was shown in {PATIENCE_SECONDS:g} s")
        if not (more := os.read(file, 2**12)):
            raise TimeoutError("it ended without a word")
        said += more.decode(errors="replace")
    return said


def run(rounds: int) -> dict[str, Any]:
    """Returns the median seconds to the first line of every command, with what it said."""
    made_with = provenance()
    rows = []
    for name, arguments in COMMANDS.items():
        row: dict[str, Any] = {"command": name}
        program = name.split()[0] if ".py" in name else "run_atari.py"
        for place in ("terminal", "pipe"):
            found = [
                first_output(arguments, on_terminal=place == "terminal", program=program)
                for _ in range(rounds)
            ]
            row[f"{place}_seconds"] = median(seconds for seconds, _, _ in found)
            row[f"{place}_processor_seconds"] = median(spent for _, spent, _ in found)
            row[f"{place}_says"] = found[-1][2][:100]
        rows.append(row)
        print(f"{name}: {row['terminal_seconds']:.1f} s", file=sys.stderr, flush=True)
    return {**made_with, "rounds": rounds, "rows": rows}


def tables(report: dict[str, Any]) -> list[Table]:
    """Returns the report as a table for a terminal."""
    found = Table("command", "terminal, s", "pipe, s", "says in a pipe", title="to the first line")
    for row in report["rows"]:
        seconds = (f"{row[f'{place}_seconds']:.2f}" for place in ("terminal", "pipe"))
        found.add_row(row["command"], *seconds, row["pipe_says"])
    return [found]


def main(arguments: list[str]) -> None:
    """Measures, prints and writes the result file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="times that each is begun")
    parser.add_argument("--out", type=Path, default=None, help="folder of the result file")
    parsed = parser.parse_args(arguments)
    report = run(parsed.rounds)
    path = write_result("startup", report, *([parsed.out] if parsed.out else []))
    show(report, tables(report), path, as_json=False)


if __name__ == "__main__":
    main(sys.argv[1:])
