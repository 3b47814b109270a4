"""Does a long run stay as it began? Trains for an hour in `async` mode and watches the process.

`python -m tools.soak` starts a training session and, beside it every few minutes, an
`evaluate` of its newest checkpoint, as a user would. It samples memory, threads, open files, lag
and checkpoints, writes `results/soak_*.json` and `docs/images/soak.png`, prints the verdict of
`soak_report.py`, and exits with 1 where a bound does not hold.
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from jsonargparse import ArgumentParser

from benchmarks.result_file import show, write_result
from experiment.arguments import fields_of
from experiment.metrics import newest_row, read_metrics
from experiment.provenance import ROOT, provenance
from experiment.run_dir import read_config, read_status
from tools.soak_report import draw, judge, verdict_table

FIGURE = ROOT / "docs" / "images" / "soak.png"
ENDLESS_FRAMES = 10**9  # the clock ends the session
CLOSING_SECONDS = 600  # that a session may take, beyond its time, on a busy machine
Sample = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class SoakConfig:
    """How long what is trained and watched.

    Args:
        config: YAML file of training settings.
        seconds: time that training takes.
        sample_seconds: between samples.
        evaluate_seconds: between the ends and starts of evaluations.
        episodes: games of an evaluation.
    """

    config: Path = ROOT / "configs" / "pong.yaml"
    seconds: float = 3600.0
    sample_seconds: float = 5.0
    evaluate_seconds: float = 240.0
    episodes: int = 4


class Child:
    """A command of the suite in a process of its own, with its output in files.

    Args:
        arguments: of run_atari.py.
        output: where what it prints goes; its errors and progress go beside it, to `.err`.
    """

    def __init__(self, arguments: list[str], output: Path) -> None:
        self.output = output
        self.began = time.monotonic()
        self._errors = output.with_suffix(".err")
        with output.open("w") as file, self._errors.open("w") as errors:
            command = [sys.executable, str(ROOT / "run_atari.py"), *arguments]
            self._process = subprocess.Popen(command, stdout=file, stderr=errors)

    @property
    def said(self) -> str:
        """The end of its errors and progress."""
        return self._errors.read_text()[-1000:]

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def end(self) -> None:
        """Kills it where it still runs."""
        if self.exit_code is None:
            self._process.kill()
        self._process.wait()


class Evaluations:
    """Evaluates the newest checkpoint every so often, one process at a time.

    Args:
        run: the run folder.
        config: how often, and how many games.
    """

    def __init__(self, run: Path, config: SoakConfig) -> None:
        self.done: list[dict[str, Any]] = []
        self._run = run
        self._config = config
        self._child: Child | None = None
        self._rested = time.monotonic()

    def step(self) -> None:
        """Starts an evaluation where it is time to, and takes in one that has ended."""
        now = time.monotonic()
        if self._child is not None and self._child.exit_code is not None:
            self.done.append(self._result(self._child))
            self._child, self._rested = None, now
        is_due = now - self._rested >= self._config.evaluate_seconds
        is_begun = (self._run / "config.yaml").exists()  # which its first checkpoint precedes
        if self._child is None and is_due and is_begun:
            arguments = ["--episodes", str(self._config.episodes), "--json"]
            output = self._run.with_name("evaluate.out")
            self._child = Child(["evaluate", str(self._run), *arguments], output)

    def close(self) -> None:
        """Ends one that is under way; it does not count."""
        if self._child is not None:
            self._child.end()

    def _result(self, child: Child) -> dict[str, Any]:
        taken = {"seconds": time.monotonic() - child.began, "exit_code": child.exit_code}
        if child.exit_code:
            return taken | {"said": child.said}
        result = json.loads(child.output.read_text())
        return taken | {name: result[name] for name in ("frames", "mean_return")}


def soak(config: SoakConfig, folder: Path) -> dict[str, Any]:
    """Trains in a folder, watches, and returns the report with its verdict."""
    run, made_with = folder / "run", provenance()
    training = Child(training_arguments(config, run), folder / "train.out")
    evaluations = Evaluations(run, config)
    try:
        samples = watch(training, run, evaluations, config)
    finally:
        evaluations.close()
        training.end()
    if not samples:
        raise ValueError(f"training said: {training.said}")
    lags = [row["learner/lag_updates"] for row in read_metrics(run / "metrics.jsonl")]
    report = {
        **made_with,
        "soak": asdict(config) | {"config": config.config.name},
        "settings": read_config(run) | {"run_dir": run.name},  # no machine paths in results
        "exit_code": training.exit_code,
        "status": read_status(run),
        "said": training.said if training.exit_code else "",
        "evaluations": evaluations.done,
        "largest_lag_updates": max(lags),
        "rollouts": len(lags),
        "samples": {name: [sample[name] for sample in samples] for name in samples[0]},
    }
    return report | {"verdict": judge(report)}


def training_arguments(config: SoakConfig, run: Path) -> list[str]:
    """Returns the command: each rollout writes a row, so that no lag is hidden in a mean."""
    settings = {
        "config": config.config,
        "mode": "async",
        "run_dir": run,
        "max_seconds": config.seconds,
        "total_frames": ENDLESS_FRAMES,
        "log_interval_seconds": 0,
    }
    return ["train", *(f"--{name}={value}" for name, value in settings.items())]


def watch(training: Child, run: Path, evaluations: Evaluations, config: SoakConfig) -> list[Sample]:
    """Samples a training session until it ends, or is long overdue."""
    samples = []
    while training.exit_code is None:
        seconds = time.monotonic() - training.began
        if seconds > config.seconds + CLOSING_SECONDS:
            break
        if (sample := take_sample(training.pid, run)) is not None:
            samples.append({"seconds": round(seconds, 1)} | sample)
        evaluations.step()
        time.sleep(config.sample_seconds)
    return samples


def take_sample(pid: int, run: Path) -> Sample | None:
    """Returns what a process holds and how far its run is; None before its first row of metrics."""
    row = newest_row(run / "metrics.jsonl")
    try:
        with Path(f"/proc/{pid}/status").open() as file:
            status = status_of(file)
        open_files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:  # it has just ended
        return None
    if row is None or "VmRSS" not in status:
        return None
    return {
        "resident_mib": round(int(status["VmRSS"].split()[0]) / 1024, 1),
        "threads": int(status["Threads"]),
        "open_files": open_files,
        "lag_updates": row["learner/lag_updates"],
        "checkpoints": len(list(run.glob("checkpoints/*.safetensors"))),
        "frames": row["frames"],
    }


def status_of(file: IO[str]) -> dict[str, str]:
    """Returns the fields of /proc/<pid>/status by name."""
    return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


def main() -> int:
    """Soaks, prints and writes; returns the exit code."""
    parser = ArgumentParser(description="Train for long and watch what grows.", allow_abbrev=False)
    parser.add_class_arguments(SoakConfig)
    config = fields_of(SoakConfig, parser.instantiate(parser.parse_args()))
    with tempfile.TemporaryDirectory() as folder:
        report = soak(config, Path(folder))
    path = write_result("soak", report)
    draw(report, FIGURE)
    show(report, [verdict_table(report)], path, as_json=False)
    return 0 if report["verdict"]["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
