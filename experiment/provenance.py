"""Where a result came from: code, versions, machine, command. Never environment variables."""

import hashlib
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from experiment.plugins import LOADED

ROOT = Path(__file__).parents[1]
SOURCES = (
    "agents",
    "sequences",
    "models",
    "envs",
    "experiment",
    "run_atari.py",
    "run_sequences.py",
)
PACKAGES = ("torch", "numpy", "envpool", "ale-py", "gymnasium")


def provenance() -> dict[str, Any]:
    """Returns what a published result must record, as plain values."""
    return {
        **origin_of_code(),
        "command": [*program(), *sys.argv[1:]],
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(),
        "torch_threads": torch.get_num_threads(),  # another number adds up in another order
    }


def origin_of_code() -> dict[str, Any]:
    """Returns what the code of a run is: the same for all of its ranks."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": bool(_git("status", "--porcelain", "--", *SOURCES)),
        "source_hash": source_hash(),
        "plugins": dict(LOADED),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
    }


def program() -> list[str]:
    """Returns which program of the repository runs: a path within it, or a module of Python's."""
    path = Path(sys.argv[0]).resolve()
    spec = getattr(sys.modules["__main__"], "__spec__", None)  # where python -m began it
    if spec and spec.origin and Path(spec.origin).resolve() == path:
        return ["python", "-m", spec.name.removesuffix(".__main__")]
    return [path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name]


def hardware() -> dict[str, Any]:
    """Returns the processor, its usable cores, the memory in bytes, and the GPU if any."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "cpu": _cpu_model(),
        "cores": usable_cores(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "gpu": gpu,
    }


def usable_cores() -> int:
    """Returns the cores that this process may use; all of them where the system reserves none."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def source_hash() -> str:
    """Returns a SHA-256 over the names and contents of the sources that a run executes."""
    digest = hashlib.sha256()
    files = [
        file
        for source in SOURCES
        for file in ([ROOT / source] if source.endswith(".py") else (ROOT / source).rglob("*"))
        if file.suffix in (".py", ".cpp", ".h", ".csv") and file.is_file()
    ]
    for file in sorted(files):
        digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _git(*arguments: str) -> str | None:
    """Returns git's answer, or None outside a checkout."""
    try:
        answer = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
