"""Where a run came from: code, versions, machine and command. Never environment variables."""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SOURCES = ("agents", "models", "envs", "run_atari.py")
SOURCE_SUFFIXES = {".py", ".cpp", ".h", ".csv"}
PACKAGES = ("torch", "triton", "numpy", "envpool", "gymnasium", "ale-py")


def provenance() -> dict[str, Any]:
    """Returns everything needed to find the code and machine again, ready for JSON."""
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": None if (status := _git("status", "--porcelain")) is None else status != "",
        "source_hash": source_hash(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": {name: _installed_version(name) for name in PACKAGES},
        "hardware": hardware(),
    }


def source_hash(root: Path = ROOT) -> str:
    """Returns the SHA-256 of names and contents of the source that computes results."""
    digest = hashlib.sha256()
    for path in _source_files(root):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def hardware() -> dict[str, Any]:
    """Returns CPU model, usable cores, memory, GPU and operating system of this machine."""
    import torch

    return {
        "cpu": _proc_field("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.platform(),
    }


def _source_files(root: Path) -> Iterator[Path]:
    files = [path for name in SOURCES for path in (root / name, *(root / name).rglob("*"))]
    return (p for p in sorted(files) if p.suffix in SOURCE_SUFFIXES and p.is_file())


def _git(*arguments: str) -> str | None:
    """Returns what git prints about the suite's checkout, or None where there is none."""
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _installed_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _proc_field(file: str, name: str) -> str | None:
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)
