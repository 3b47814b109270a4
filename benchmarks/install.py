"""How long installing takes: `make .venv/run` in a fresh clone of the last commit.

`python -m benchmarks.install` times it, network and disk included, and notes what pip had to fetch:
with an empty cache, all of it. The clone and its environment are removed again.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.table import Table

from benchmarks.result_file import show, write_result
from experiment.provenance import ROOT, provenance

COMMAND = ["make", ".venv/run", f"PYTHON={sys.executable}"]


def run() -> dict[str, Any]:
    """Returns the seconds that it took, and the size of what is there then.

    Raises:
        CalledProcessError: it failed; what it said is on the terminal.
    """
    with TemporaryDirectory() as folder:
        here = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(here)], check=True)
        cache = {"PIP_CACHE_DIR": str(Path(folder) / "cache")}  # a new one
        began = time.monotonic()
        subprocess.run(COMMAND, cwd=here, env=os.environ | cache, check=True)
        seconds = time.monotonic() - began
        size = sum(f.lstat().st_size for f in (here / ".venv").rglob("*") if not f.is_symlink())
    return {**provenance(), "seconds": seconds, "installed_bytes": size}


def main() -> None:
    """Measures, prints and writes the result file."""
    report = run()
    found = Table("command", "seconds", "GB installed", title="a fresh clone, no cache of pip")
    size = f"{report['installed_bytes'] / 1e9:.1f}"
    found.add_row(" ".join(COMMAND[:2]), f"{report['seconds']:.0f}", size)
    show(report, [found], write_result("install", report), as_json=False)


if __name__ == "__main__":
    main()
