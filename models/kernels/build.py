"""Compiles the CPU kernels on first use and keeps the result.

All `cpu.cpp` of this folder become one shared library. Its name carries a key of the
sources, the flags, the torch version and the instruction set of this CPU, so that a cache
shared by different machines never runs the wrong code.
"""

import contextlib
import fcntl
import functools
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).parent
SOURCES = tuple(sorted(FOLDER.glob("*/cpu.cpp")))
HEADERS = tuple(sorted(FOLDER.glob("cpu/*.h")))
NATIVE_FLAG = "-mcpu=native" if platform.machine() in ("arm64", "aarch64") else "-march=native"
IS_MAC = platform.system() == "Darwin"
# Without OpenMP, as Apple's compiler comes, torch's parallel_for runs on one thread.
OPENMP = () if IS_MAC else ("-fopenmp",)
FLAGS = (
    "-O3",
    *OPENMP,
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-Wno-psabi",
)
STANDARD = ("-std=c++20", "-fPIC")
# Not linked with OpenMP: its symbols come from the runtime that torch has loaded, the only one.
LINK = ("-shared", "-undefined", "dynamic_lookup") if IS_MAC else ("-shared",)
TORCH_LIBRARIES = ("-ltorch_cpu", "-ltorch", "-lc10")


class BuildError(RuntimeError):
    """The kernels cannot be compiled on this machine; the message says why."""


def cache_folder() -> Path:
    """Returns where compiled kernels are kept: `$XDG_CACHE_HOME`, by default `~/.cache`."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "fast_weight_agents" / "kernels"


def instruction_set() -> str:
    """Returns a text that differs between CPUs which cannot run each other's native code."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                return " ".join(sorted(line.split(":", 1)[1].split()))
    return f"{platform.machine()} {platform.processor()}"


def build_key(flags: Sequence[str]) -> str:
    """Returns the key under which a build with these flags is kept."""
    digest = hashlib.sha256()
    for part in (torch.__version__, instruction_set(), *STANDARD, *flags):
        digest.update(part.encode() + b"\0")
    for path in (*SOURCES, *HEADERS):
        digest.update(path.relative_to(FOLDER).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def build(folder: Path, flags: Sequence[str] = (*FLAGS, NATIVE_FLAG)) -> Path:
    """Returns the compiled library, compiling it if `folder` does not have it yet.

    Safe against other processes that build at the same time: one compiles, the rest wait.

    Args:
        folder: where compiled libraries are kept; made if missing.
        flags: compiler flags.

    Raises:
        BuildError: no compiler, or it failed; names the compiler, the command and the log.
    """
    key = build_key(flags)
    library = folder / f"kernels_{key}.so"
    if library.exists():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / f"{key}.lock"):
        if not library.exists():
            _compile(library, flags)
    return library


@functools.cache
def unavailable() -> str | None:
    """Loads the compiled kernels into `torch.ops.fast_weights`, once per process.

    Returns:
        None, or why they cannot be used here; a failed build is also logged, once.
    """
    try:
        library = str(build(cache_folder()))
        torch.ops.load_library(library)  # type: ignore[no-untyped-call]  # torch has no types here
    except (BuildError, OSError) as error:
        logger.warning("the cpu kernels cannot be used: %s", error)
        return str(error)
    return None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _compile(library: Path, flags: Sequence[str]) -> None:
    from torch.utils import cpp_extension  # costs an import of setuptools, so only here

    compiler = shlex.split(os.environ.get("CXX") or "c++")  # which may bring arguments of its own
    if shutil.which(compiler[0]) is None:
        raise BuildError(f"no C++ compiler ({compiler[0]!r} is not on the path; set CXX to one)")
    logger.warning("compiling the cpu kernels with %s, once; about a minute", compiler[0])
    includes = [f"-isystem{path}" for path in cpp_extension.include_paths()]
    libraries = [f"-L{path}" for path in cpp_extension.library_paths()]
    log = library.with_suffix(".log")
    with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
        objects = [str(Path(scratch) / f"{source.parent.name}.o") for source in SOURCES]
        commands = [
            [*compiler, *STANDARD, *flags, *includes, "-c", str(source), "-o", object_file]
            for source, object_file in zip(SOURCES, objects, strict=True)
        ]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda command: _run(command, log), commands))
        linked = str(Path(scratch) / library.name)
        _run([*compiler, *LINK, *objects, "-o", linked, *libraries, *TORCH_LIBRARIES], log)
        os.replace(linked, library)


def _run(command: Sequence[str], log: Path) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        text = shlex.join(command)
        log.write_text(f"{text}\n{result.stdout}{result.stderr}")
        raise BuildError(f"{command[0]} failed (log: {log}) at: {text}")
