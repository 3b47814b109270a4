"""What the fault campaign does to a run, and what must then be true of it.

A run is compared with one that nothing happened to: in serial mode bit for bit, in both modes row
by row. What the long campaign counts goes to the file that $FAULTS_REPORT names.
"""

import json
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from experiment.checkpoint import load_newest
from experiment.files import write_json
from experiment.metrics import read_metrics
from experiment.provenance import provenance
from experiment.run_dir import read_status
from experiment.stop_signals import SIGNALS
from experiment.training_command import REQUEUE
from tests import fault_runs, rank_runs
from tests.fault_runs import Fault
from tests.processes import handles, wait_for

CONFIG = Path(__file__).parent / "data" / "faults.yaml"
MODES = {"serial": [], "async": ["--mode", "async", "--num_actors", "2", "--max_policy_lag", "4"]}
FRAMES = list(range(20, 121, 20))  # of the rows of a whole run
TIMED = ("wall_seconds", "speed/", "share/", "queue/", "memory/")
SESSION_OPERATIONS = 320  # on files, in a whole run; measured (2026-11-24)
CHECKPOINT_OPERATIONS = 42  # of these in the writes of checkpoints, likewise
SESSION_CPU_SECONDS = 0.25  # of a whole run, likewise
NUM_RANKS = 2
MOMENT_SECONDS = 0.05  # of computing, about a rollout's
SOON_SECONDS = 10.0  # in which all ranks end once one was killed


class Subject:
    """One run in a folder, started, resumed and looked at."""

    def __init__(self, folder: Path, mode: str) -> None:
        self.folder = folder
        self.run = folder / "run"
        self.mode = mode

    def arguments(self, *more):
        """Returns what starts the run or, once it has begun, goes on with it."""
        if (self.run / "config.yaml").exists():
            return ["train", "--resume", self.run, *more]
        return ["train", "--config", CONFIG, "--run_dir", self.run, *MODES[self.mode], *more]

    def go(self, *more, fault=None):
        """Runs one session to its end, whatever that is."""
        return fault_runs.run(self.arguments(*more), self.folder, fault)

    def send(self, number, cpu_seconds, *more, handled=False):
        """Runs a session and sends it a signal once it has computed for `cpu_seconds`.

        With `handled` they count from the moment at which the session handles all signals.
        """
        process = fault_runs.start(self.arguments(*more), self.folder)
        while handled and process.is_alive() and not handles(process.pid, SIGNALS[-1]):
            time.sleep(0.005)
        cpu_seconds += handled and _cpu_seconds(process.pid)
        while process.is_alive() and _cpu_seconds(process.pid) < cpu_seconds:
            time.sleep(0.005)
        if process.is_alive():
            os.kill(process.pid, number)
        return fault_runs.wait(process, self.folder)

    def ask_and_demand(self, number, fault):
        """Sends a signal to a session that hangs once it has written a row, and then another."""
        process = fault_runs.start(self.arguments(), self.folder, fault)
        metrics = self.run / "metrics.jsonl"
        wait_for(lambda: metrics.exists() and metrics.read_text())
        os.kill(process.pid, number)
        wait_for(lambda: not handles(process.pid, number))
        assert process.is_alive()
        os.kill(process.pid, number)
        return fault_runs.wait(process, self.folder)

    def finish(self):
        """Goes on to the end of the run, without a fault."""
        ended = self.go()
        assert ended.code == 0, ended.stderr
        assert read_status(self.run)["status"] == "finished"

    def check_like(self, whole: "Subject") -> None:
        """Asserts that the finished run lost nothing, `whole` being one that nothing befell."""
        rows = [read_metrics(s.run / "metrics.jsonl") for s in (self, whole)]
        assert [row["frames"] for row in rows[0]] == FRAMES
        if self.mode == "serial":
            kept = [[_timeless(row) for row in of] for of in rows]
            assert kept[0] == kept[1]
            assert_same(*(s.final_state() for s in (self, whole)))

    def final_state(self):
        """Returns the last checkpoint without what depends on the clock and the folder."""
        payload = load_newest(self.run / "checkpoints")
        del payload["seconds"], payload["config"]
        return payload


def _timeless(row):
    return {tag: value for tag, value in row.items() if not tag.startswith(TIMED)}


def _cpu_seconds(pid):
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return float("inf")


def assert_same(a, b, at="checkpoint"):
    """Asserts that two trees of tensors and plain values are equal, bit for bit."""
    assert type(a) is type(b), at
    if isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype, at
        assert a.numpy().tobytes() == b.numpy().tobytes(), at
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), at
        for name in a:
            assert_same(a[name], b[name], f"{at}.{name}")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), at
        for index, pair in enumerate(zip(a, b, strict=True)):
            assert_same(*pair, f"{at}[{index}]")
    else:
        assert a == b, at


@dataclass
class Tally:
    """What a campaign counted."""

    runs: int = 0
    kills_between_operations: int = 0
    kills_at_a_file_operation: int = 0
    kills_in_the_write_of_a_checkpoint: int = 0
    most_kills_of_one_run: int = 0
    ends_by_signal: int = 0
    ends_without_a_handler: int = 0
    bit_exact_runs: int = 0

    @property
    def kills(self):
        return (
            self.kills_between_operations
            + self.kills_at_a_file_operation
            + self.kills_in_the_write_of_a_checkpoint
        )


KILLS = tuple(name for name in Tally.__dataclass_fields__ if name.startswith("kills_"))


def campaign_of_kills(folder: Path, mode: str, whole: Subject, num_kills: int, seed: int) -> Tally:
    """Kills sessions, and resumes them, until `num_kills` have been killed; checks each run."""
    rng, tally = np.random.default_rng(seed), Tally()
    while tally.kills < num_kills:
        subject, killed = Subject(folder / f"{mode}-{tally.runs}", mode), 0
        while tally.kills < num_kills:
            kind = KILLS[rng.integers(len(KILLS))]
            if kind == "kills_between_operations":
                moment = rng.uniform(0.2, 0.8) * SESSION_CPU_SECONDS
                ended = subject.send(signal.SIGKILL, moment)
            elif kind == "kills_at_a_file_operation":
                ended = subject.go(fault=Fault("kill", rng.integers(SESSION_OPERATIONS // 2)))
            else:
                after = rng.integers(CHECKPOINT_OPERATIONS // 2)
                ended = subject.go(fault=Fault("kill in a checkpoint", after))
            if ended.code != -signal.SIGKILL:
                assert ended.code == 0, ended.stderr
                break
            killed += 1
            setattr(tally, kind, getattr(tally, kind) + 1)
        subject.finish()
        subject.check_like(whole)
        tally.runs += 1
        tally.bit_exact_runs += mode == "serial"
        tally.most_kills_of_one_run = max(tally.most_kills_of_one_run, killed)
    return tally


def campaign_of_signals(
    folder: Path, mode: str, whole: Subject, number: int, num_signals: int, seed: int
) -> Tally:
    """Asks sessions to end, and resumes them, `num_signals` times; checks each run."""
    rng, tally = np.random.default_rng(seed), Tally()
    while tally.ends_by_signal < num_signals:
        subject = Subject(folder / f"{mode}-{number}-{tally.runs}", mode)
        while tally.ends_by_signal < num_signals:
            moment = rng.uniform(0, 0.4) * SESSION_CPU_SECONDS
            ended = subject.send(number, moment, "--requeue", handled=True)
            if "interrupted by" in ended.stderr:  # before a session began, or after it had ended
                tally.ends_without_a_handler += 1
                continue
            status = read_status(subject.run)
            if status["status"] == "finished":
                assert ended.code == 0, ended.stderr
                break
            assert ended.code == run_again_code(), ended
            assert status == {"status": "stopped", "why": signal.Signals(number).name}
            assert load_newest(subject.run / "checkpoints")
            tally.ends_by_signal += 1
        subject.finish()
        subject.check_like(whole)
        tally.runs += 1
        tally.bit_exact_runs += mode == "serial"
    return tally


@dataclass
class RankTally:
    """What a campaign of kills of single ranks counted."""

    ranks: int = NUM_RANKS
    runs: int = 0
    kills_of_the_first_rank: int = 0
    kills_of_another_rank: int = 0
    most_seconds_to_the_end_of_all: float = 0.0
    runs_equal_to_one_that_nothing_befell: int = 0


def campaign_of_rank_kills(folder: Path, mode: str, num_kills: int, seed: int) -> RankTally:
    """Kills single ranks at random moments, and resumes, until so many died; checks each run.

    Serial runs must learn what a run learns that nothing befell, bit for bit.
    """
    rng, tally = np.random.default_rng(seed), RankTally()
    whole = RankSubject(folder / "whole", mode)
    whole.finish()
    kills = 0
    while kills < num_kills:
        subject = RankSubject(folder / f"{mode}-{tally.runs}", mode)
        while kills < num_kills:
            killed = int(rng.integers(NUM_RANKS))
            seconds = subject.kill(killed, int(rng.integers(4)), rng.uniform(0, MOMENT_SECONDS))
            if seconds is None:  # it had ended before
                break
            kills += 1
            tally.kills_of_the_first_rank += killed == 0
            tally.kills_of_another_rank += killed != 0
            longest = max(tally.most_seconds_to_the_end_of_all, seconds)
            tally.most_seconds_to_the_end_of_all = longest
        subject.finish()
        subject.check_like(whole)
        tally.runs += 1
        tally.runs_equal_to_one_that_nothing_befell += mode == "serial"
    return tally


class RankSubject(Subject):
    """A run of two ranks."""

    def arguments(self, *more):
        """Returns what starts or goes on with the run, in as many groups as ranks."""
        begins = not (self.run / "config.yaml").exists()
        return super().arguments(*(["--num_groups", NUM_RANKS] if begins else []), *more)

    def kill(self, rank: int, rows: int, cpu_seconds: float) -> float | None:
        """Kills a rank some time of computing after the session's n-th row, or after its start.

        Returns:
            Seconds to the end of all; None where the session ended before.
        """
        wanted = self.num_rows() + rows
        processes = rank_runs.start_ranks(NUM_RANKS, self.arguments(), self.folder)
        victim = processes[rank]
        while victim.is_alive() and rows and self.num_rows() < wanted:
            time.sleep(0.002)
        cpu_seconds += _cpu_seconds(victim.pid)
        while victim.is_alive() and _cpu_seconds(victim.pid) < cpu_seconds:
            time.sleep(0.002)
        began = time.monotonic()
        if victim.is_alive():
            os.kill(victim.pid, signal.SIGKILL)
        victim.join()
        for process in processes:  # as torchrun does once a rank has ended by a signal
            if victim.exitcode and process.is_alive():
                process.terminate()
        ended = rank_runs.wait_ranks(processes, self.folder)
        seconds = time.monotonic() - began
        if ended[rank].code != -signal.SIGKILL:
            assert [e.code for e in ended] == [0] * NUM_RANKS, ended
            return None
        assert seconds < SOON_SECONDS, ended
        return seconds

    def num_rows(self) -> int:
        """Returns how many rows of metrics the run has."""
        metrics = self.run / "metrics.jsonl"
        return metrics.read_bytes().count(b"\n") if metrics.exists() else 0

    def finish(self):
        """Goes on to the end of the run, without a fault."""
        for ended in rank_runs.run_ranks(NUM_RANKS, self.arguments(), self.folder):
            assert ended.code == 0, ended.stderr
        assert read_status(self.run)["status"] == "finished"


def run_again_code():
    """Returns the exit code that asks a scheduler for another session."""
    return REQUEUE


@dataclass
class Report:
    """The file that the long campaign leaves, where $FAULTS_REPORT names one."""

    path: Path | None = field(
        default_factory=lambda: Path(p) if (p := os.environ.get("FAULTS_REPORT")) else None
    )

    def publish(self, part: str, name: str, value) -> None:
        """Adds what one part of the campaign found."""
        if self.path is None:
            return
        content = json.loads(self.path.read_text()) if self.path.exists() else {}
        content.setdefault("provenance", provenance() | {"command": ["make", "faults"]})
        content.setdefault(part, {})[name] = value
        write_json(self.path, content)
