"""Everything that wants a GPU, in one go and in the order of its worth: `make gpu`.

For any machine where CUDA and the suite's dependencies are importable. Each step has its own time
limit; one that fails is reported and passed over. Output goes to files, at the end into one
archive, `gpu.tar.gz` in the output folder: logs, new benchmark results, metrics of the runs.
"""

import argparse
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
MIN_SECONDS = 5.0
"""Of what is left: with less a step is not begun."""
TESTS = (
    "tests/test_impala_gpu.py",
    "tests/test_kernels_backends.py",
    "tests/test_kernels_layouts.py",
)
VERSIONS = """
import numpy, torch, triton, envpool
print("torch", torch.__version__, "triton", triton.__version__, "numpy", numpy.__version__)
print("envpool", envpool.__version__, "cuda", torch.version.cuda)
if torch.cuda.is_available():
    print(torch.cuda.get_device_name(), torch.cuda.get_device_capability())
"""
TINY = (
    "--learner.unroll_length",
    "4",
    "--learner.batch_size",
    "4",
    "--learner.num_minibatches",
    "2",
)


@dataclass(frozen=True, slots=True)
class Step:
    """One command of this Python and how long it may take.

    Args:
        name: also of its log.
        seconds: limit.
        command: what follows `python`.
        dry: what it is on a CPU, in seconds; nothing is written to `benchmarks/results`.
    """

    name: str
    seconds: float
    command: tuple[str, ...]
    dry: tuple[str, ...]


def loop(*options: str) -> tuple[str, ...]:
    """Returns the command of the loop's benchmark."""
    return ("-m", "benchmarks.device_loop", *options)


def kernels(*options: str) -> tuple[str, ...]:
    """Returns the command of the kernels' benchmark."""
    return ("run_atari.py", "bench", "kernels", *options)


def train(config: str, out: Path, seconds: float, *options: str) -> tuple[str, ...]:
    """Returns the command of a training run of so many seconds."""
    folder = out / Path(config).stem
    return (
        *("run_atari.py", "train", "--config", config, "--run_dir", str(folder)),
        *("--max_seconds", str(seconds), "--log_interval_seconds", "1", *options),
    )


def steps(out: Path) -> tuple[Step, ...]:
    """Returns every step, the most worth first."""
    quick_loop = loop("--quick", "true", "--rollouts", "2", "--cores", "[rdn]")
    one_pass = ("--num_passes", "1", "--rollouts", "4")
    tests = ("-m", "pytest", "-q", "-p", "no:cacheprovider", *parallel(), *TESTS)
    return (
        Step("versions", 30, ("-c", VERSIONS), ("-c", VERSIONS)),
        Step("tests", 150, (*tests, "-k", "gpu or triton"), ("-m", "pytest", "-q", TESTS[0])),
        Step(
            "pong",
            150,
            train("configs/gpu/pong.yaml", out, 120),
            train("configs/gpu/pong.yaml", out, 3, *TINY, "--device", "cpu"),
        ),
        Step("kernels", 120, kernels("--rounds", "5"), kernels("--quick")),
        Step("loop_small", 240, loop("--rollouts", "12"), quick_loop),
        Step(
            "loop_residual",
            60,
            loop("--encoder", "impala", "--cores", "[rdn,lstm]", *one_pass),
            (*quick_loop, "--encoder", "impala"),
        ),
        Step("loop_one_pass", 30, loop("--cores", "[rdn]", *one_pass), (*quick_loop, *one_pass)),
        Step(
            "breakout",
            900,
            train("configs/gpu/atari.yaml", out, 870),
            train("configs/gpu/atari.yaml", out, 3, *TINY, "--device", "cpu"),
        ),
        Step(
            "compiled",
            900,
            kernels("--compiled", "--ops", "rdn", "--rounds", "5"),
            kernels("--quick", "--ops", "rdn"),
        ),
    )


def parallel() -> tuple[str, ...]:
    """Returns pytest's options for one process a core but one, where it has what that needs.

    A kernel compiles for seconds in each process: in one alone the tests take minutes.
    """
    cores = len(os.sched_getaffinity(0))
    has_xdist = importlib.util.find_spec("xdist") is not None
    return ("-n", str(max(1, cores - 1)), "--dist", "worksteal") if has_xdist else ()


def run(chosen: list[Step], out: Path, budget: float, *, is_dry: bool) -> list[str]:
    """Runs the steps one after the other; returns the names of those that failed."""
    began, failed = time.monotonic(), []
    for step in chosen:
        left = budget - (time.monotonic() - began)
        if left < MIN_SECONDS:
            say(out, f"{step.name}: left out, {left:.0f} s are left")
            continue
        started = time.monotonic()
        limit = left if is_dry else min(step.seconds, left)
        outcome = run_one(step, out, limit, is_dry=is_dry)
        say(out, f"{step.name}: {outcome}, {time.monotonic() - started:.0f} s")
        if outcome != "ok":
            failed.append(step.name)
            say(out, tail(out / f"{step.name}.log"))
    return failed


def run_one(step: Step, out: Path, seconds: float, *, is_dry: bool) -> str:
    """Runs a step, its output in a file; returns "ok" or what went wrong."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    if not is_dry:
        environment["REQUIRE_CUDA"] = "1"
    command = [sys.executable, *(step.dry if is_dry else step.command)]
    with (out / f"{step.name}.log").open("w") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with the processes that it started
            process.wait()
            return f"stopped after {seconds:.0f} s"
    return "ok" if code == 0 else f"exit {code}"


def say(out: Path, line: str) -> None:
    """Prints a line and keeps it in the summary."""
    print(line, flush=True)
    with (out / "summary.txt").open("a") as summary:
        summary.write(line + "\n")


def tail(log: Path) -> str:
    """Returns the last lines of a log, indented."""
    return "\n".join(f"    {line[:200]}" for line in log.read_text().splitlines()[-8:])


def pack(out: Path, before: set[Path]) -> Path:
    """Copies everything that was found into one archive, but for weights; returns it."""
    for path in set(RESULTS.glob("*.json")) - before:
        shutil.copy(path, out)
    archive = out / "gpu.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(out.iterdir()):
            if path != archive:
                tar.add(path, arcname=f"gpu/{path.name}", filter=light)
    return archive


def light(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Returns an entry of the archive; None for a folder that would make it large."""
    return None if entry.name.endswith(("/checkpoints", "/tensorboard")) else entry


def main() -> int:
    """Runs what is asked for; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "gpu", help="a new folder")
    parser.add_argument("--seconds", type=float, default=300.0, help="budget of all steps")
    parser.add_argument("--steps", default="", help="names by comma; empty takes all")
    parser.add_argument("--dry", action="store_true", help="on a CPU, at tiny size")
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    known = {step.name: step for step in steps(out)}
    asked = [name for name in arguments.steps.split(",") if name] or list(known)
    if unknown := [name for name in asked if name not in known]:
        parser.error(f"no step {unknown[0]!r}; choose of {', '.join(known)}")
    if out.exists():
        parser.error(f"{out} exists; name a new folder")
    out.mkdir(parents=True)
    before = set(RESULTS.glob("*.json"))
    chosen = [known[name] for name in asked]
    failed = run(chosen, out, arguments.seconds, is_dry=arguments.dry)
    say(out, f"failed: {', '.join(failed) or 'none'}")
    print(pack(out, before))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
