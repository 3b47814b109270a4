"""How long `compare` takes on many runs, and how much memory.

`python -m benchmarks.compare_cost results/memory results/pong` reads the published runs.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.table import Table

from benchmarks.result_file import show, write_result
from comparison.read_runs import find_runs, read_runs
from experiment.memory import peak_resident_bytes
from experiment.provenance import provenance

RUN_ATARI = Path(__file__).parents[1] / "run_atari.py"


def measure(folders: Sequence[Path]) -> dict[str, Any]:
    """Runs `compare` once, as a process of its own.

    Returns:
        `num_runs`, `bytes` of their metrics and of files of runs, `seconds`, `peak_memory_bytes`.
    """
    files = [path / "metrics.jsonl" if path.is_dir() else path for path in find_runs(folders)]
    with TemporaryDirectory() as out:
        began = time.perf_counter()
        command = [sys.executable, RUN_ATARI, "compare", *folders, "--out", Path(out) / "report"]
        subprocess.run(
            [str(word) for word in command],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        seconds = time.perf_counter() - began
    return {
        "num_runs": len(read_runs(folders)),
        "bytes": sum(file.stat().st_size for file in files),
        "seconds": seconds,
        "peak_memory_bytes": peak_resident_bytes(resource.RUSAGE_CHILDREN),
    }


def main(folders: list[str]) -> None:
    """Measures, prints and writes."""
    report = provenance() | measure([Path(folder) for folder in folders])
    table = Table("runs", "seconds", "peak memory, MiB")
    memory = f"{report['peak_memory_bytes'] / 2**20:,.0f}"
    table.add_row(str(report["num_runs"]), f"{report['seconds']:.1f}", memory)
    show(report, [table], write_result("compare", report), as_json=False)


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit("usage: python -m benchmarks.compare_cost FOLDER ...")
    main(sys.argv[1:])
