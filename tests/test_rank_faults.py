"""Whatever befalls one rank, all end soon, say which and why, and the run goes on."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from experiment.checkpoint import numbered
from experiment.device import refuse_missing_devices
from experiment.metrics import read_metrics
from experiment.provenance import provenance
from experiment.run_dir import read_status
from tests.fault_campaign import CONFIG, FRAMES, MODES, Report, campaign_of_rank_kills
from tests.fault_runs import Fault
from tests.processes import PATIENCE_SECONDS, wait_for
from tests.rank_runs import call_in_ranks, environments, run_ranks, start_ranks, wait_ranks

pytestmark = pytest.mark.faults
ROOT = Path(__file__).parents[1]
SOON_SECONDS = 10.0
ENDLESS = ["--total_frames", "1000000000"]


def arguments(folder, *more):
    """Returns what begins the run of the fault campaign, in two groups."""
    return ["train", "--config", CONFIG, "--run_dir", folder / "run", "--num_groups", 2, *more]


def go_on(folder, *more):
    return ["train", "--resume", folder / "run", *more]


def wait_for_rows(folder):
    metrics = folder / "run/metrics.jsonl"
    wait_for(lambda: metrics.exists() and metrics.read_text().count("\n") > 2)


def seconds_to_end(processes, folder, since):
    """Returns how each rank ended, and asserts that it was soon."""
    ended = wait_ranks(processes, folder)
    assert time.monotonic() - since < SOON_SECONDS
    return ended


def check_goes_on(folder):
    """Asserts that one process goes on to the end of the run, without a row lost or doubled."""
    run_on = run_ranks(1, go_on(folder, "--total_frames", FRAMES[-1]), folder)
    assert run_on[0].code == 0, run_on[0].stderr
    assert [row["frames"] for row in read_metrics(folder / "run/metrics.jsonl")] == FRAMES


SLOW_ASYNC = ["serial", pytest.param("async", marks=pytest.mark.slow)]


@pytest.mark.slow
@pytest.mark.parametrize("mode", SLOW_ASYNC)
def test_a_rank_that_raises_ends_all_with_its_cause(tmp_path, mode):
    fault = {1: Fault("learner raises", 5)}
    began = time.monotonic()
    ended = run_ranks(2, arguments(tmp_path, *MODES[mode]), tmp_path, fault)
    assert time.monotonic() - began < PATIENCE_SECONDS
    said = "rank 1: RuntimeError: the learner died"
    assert [e.code for e in ended] == [1, 1]
    assert read_status(tmp_path / "run") == {"status": "failed", "why": said}
    assert said in ended[0].stderr
    assert "--resume" in ended[0].stderr
    assert "the learner died" in ended[1].stderr
    check_goes_on(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_rank_that_is_killed_ends_all_soon(tmp_path, killed):
    three = ["--num_groups", 3, "--learner.batch_size", 12]
    processes = start_ranks(3, arguments(tmp_path, *ENDLESS, *three), tmp_path)
    wait_for_rows(tmp_path)
    os.kill(processes[killed].pid, signal.SIGKILL)
    ended = seconds_to_end(processes, tmp_path, time.monotonic())
    assert ended[killed].code == -signal.SIGKILL
    assert all(e.code == 1 for rank, e in enumerate(ended) if rank != killed)
    if killed:
        said = "rank 1 gives no sign of life: killed, or it stands still"
        assert read_status(tmp_path / "run") == {"status": "failed", "why": said}
        assert said in ended[0].stderr


@pytest.mark.slow
@pytest.mark.parametrize("hanging", [0, 1])
def test_a_rank_that_hangs_is_named_with_the_place(tmp_path, hanging):
    fault = {hanging: Fault("learner hangs", 5)}
    limit = ["--rank_timeout_seconds", 2]
    ended = run_ranks(2, arguments(tmp_path, *limit), tmp_path, fault)
    said = f"rank {hanging}: learner stands still in agents/impala/learner.py, line "
    assert [e.code for e in ended] == [1, 1]
    why = read_status(tmp_path / "run")["why"]
    assert why.startswith(said)
    assert ";" not in why  # of the other parts, none that watches or waits
    assert said in ended[0].stderr
    check_goes_on(tmp_path)


def begun_slowly(ranks, folder):
    """Trains where the kernels of one rank are compiled for longer than ranks are waited for."""
    from agents.impala import trainer
    from agents.impala.config import config_from_values
    from agents.runs import train
    from experiment.session import SessionConfig

    arithmetic = trainer.arithmetic

    def compiled(*arguments):
        time.sleep(8.0 * (ranks.rank == 1))
        return arithmetic(*arguments)

    trainer.arithmetic = compiled
    values = yaml.safe_load(CONFIG.read_text()) | {"num_groups": 2, "run_dir": str(folder / "run")}
    train(config_from_values(values), SessionConfig(rank_timeout_seconds=5.0), ranks=ranks)


@pytest.mark.slow
def test_kernels_are_compiled_outside_of_the_limit(tmp_path):
    call_in_ranks(2, begun_slowly, tmp_path)
    assert read_status(tmp_path / "run")["status"] == "finished"


def test_a_signal_to_one_rank_ends_all_with_one_checkpoint(tmp_path):
    interval = ["--checkpoint_interval_seconds", 1000, "--milestone_interval_frames", "null"]
    processes = start_ranks(2, arguments(tmp_path, *ENDLESS, *interval), tmp_path)
    wait_for_rows(tmp_path)
    os.kill(processes[1].pid, signal.SIGTERM)
    os.kill(processes[1].pid, signal.SIGTERM)  # from a scheduler too
    ended = wait_ranks(processes, tmp_path)
    assert [e.code for e in ended] == [0, 0], ended
    assert read_status(tmp_path / "run") == {"status": "stopped", "why": "SIGTERM"}
    assert len(numbered(tmp_path / "run/checkpoints")) == 1
    assert [e.stdout.count("run folder") for e in ended] == [1, 0]


@pytest.mark.slow
def test_two_launches_in_one_folder_are_refused(tmp_path):
    processes = start_ranks(2, arguments(tmp_path, *ENDLESS), tmp_path)
    wait_for_rows(tmp_path)
    others = {
        "begun": (arguments(tmp_path), "exists already"),
        "resumed": (go_on(tmp_path), "is being trained by another process"),
    }
    for name, (words, said) in others.items():
        ended = run_ranks(2, words, tmp_path / name)
        assert [e.code for e in ended] == [2, 2]
        assert said in ended[0].stderr
        assert ended[1].stderr == ""
    os.kill(processes[0].pid, signal.SIGTERM)
    assert [e.code for e in wait_ranks(processes, tmp_path)] == [0, 0]


def test_ranks_of_other_settings_refuse_to_start(tmp_path):
    others = {1: arguments(tmp_path, "--learner.discount", 0.5)}
    ended = run_ranks(2, arguments(tmp_path), tmp_path, arguments_of=others)
    assert [e.code for e in ended] == [2, 2]
    assert "rank 1 has learner.discount 0.5 and not 0.99" in ended[0].stderr
    assert ended[1].stderr == ""
    assert not (tmp_path / "run").exists()


def begun_of_another_commit(ranks, folder):
    """Begins a run, on rank 1 as if from another commit."""
    from agents.impala.config import TrainConfig
    from agents.runs import train
    from experiment import run
    from experiment.ranks import EndedElsewhere

    origin = run.origin_of_code
    run.origin_of_code = lambda: origin() | {"commit": f"commit-of-{ranks.rank}"}
    try:
        train(TrainConfig(run_dir=str(folder / "run")), ranks=ranks)
    except (ValueError, EndedElsewhere) as error:
        return str(error)


def test_ranks_of_other_commits_refuse_to_start(tmp_path):
    said = "rank 1 has commit commit-of-1 and not commit-of-0: all ranks must be the same"
    assert call_in_ranks(2, begun_of_another_commit, tmp_path) == [said, "2"]


@pytest.mark.slow
def test_a_number_of_ranks_that_does_not_divide_the_groups_is_refused(tmp_path):
    ended = run_ranks(3, arguments(tmp_path), tmp_path)
    assert {e.code for e in ended} == {2}
    assert "num_groups (2) must be a multiple of the number of processes (3)" in ended[0].stderr


def test_a_port_in_use_is_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        environment = environments(2)[0] | {"MASTER_PORT": port}
        from tests.fault_runs import start, wait

        ended = wait(start(arguments(tmp_path), tmp_path, None, environment), tmp_path)
    assert ended.code == 2
    assert f"the ranks cannot meet at 127.0.0.1:{port}" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1, ended.stderr


def test_a_device_for_each_process_must_be_there(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(ValueError, match="2 processes here want a GPU each, torch sees 1"):
        refuse_missing_devices("auto", 2)
    refuse_missing_devices("auto", 1)
    refuse_missing_devices("cpu", 2)


def restarted(folder, words, launch):
    """Runs ranks as torchrun starts them again."""
    again = {"TORCHELASTIC_RESTART_COUNT": "1", "TORCHELASTIC_RUN_ID": launch}
    return run_ranks(2, words, folder, more=again)


@pytest.mark.slow
def test_a_restart_goes_on_with_the_run_of_its_launch_alone(tmp_path):
    first = {"TORCHELASTIC_RESTART_COUNT": "0", "TORCHELASTIC_RUN_ID": "job 1"}
    fault = {1: Fault("learner raises", 5)}
    assert run_ranks(2, arguments(tmp_path), tmp_path, fault, more=first)[0].code == 1
    refused = restarted(tmp_path, arguments(tmp_path), "job 2")
    assert [e.code for e in refused] == [2, 2]
    assert "exists already" in refused[0].stderr
    ended = restarted(tmp_path, arguments(tmp_path), "job 1")
    assert [e.code for e in ended] == [0, 0], ended
    assert [row["frames"] for row in read_metrics(tmp_path / "run/metrics.jsonl")] == FRAMES
    assert len(json.loads((tmp_path / "run/provenance.json").read_text())["resumed"]) == 1


def command(*words):
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def ranks_of(process):
    """Returns the process numbers of the ranks that a launcher has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(c) for c in children if b"run_atari" in Path(f"/proc/{c}/cmdline").read_bytes()]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_a_signal_to_the_launcher_ends_in_one_checkpoint(tmp_path, number):
    more = ["--processes", 2, "--requeue", "--checkpoint_interval_seconds", 1000]
    process = command(ROOT / "run_atari.py", *arguments(tmp_path, *ENDLESS, *more))
    wait_for_rows(tmp_path)
    process.send_signal(number)
    out, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, said) == (143, "")
    assert f"run folder: {tmp_path / 'run'}" in out
    assert read_status(tmp_path / "run")["status"] == "stopped"


@pytest.mark.slow
def test_a_killed_rank_of_a_launch_is_named_and_none_is_left(tmp_path):
    process = command(ROOT / "run_atari.py", *arguments(tmp_path, *ENDLESS, "--processes", 2))
    wait_for_rows(tmp_path)
    ranks = ranks_of(process)
    assert len(ranks) == 2
    os.kill(ranks[1], signal.SIGKILL)
    _, said = process.communicate(timeout=SOON_SECONDS)
    assert process.returncode == 1
    assert "rank 1 was killed by SIGKILL" in said
    assert "rank 1 gives no sign of life" in said
    assert not any(Path(f"/proc/{rank}").exists() for rank in ranks)


@pytest.mark.slow
def test_ranks_end_with_a_checkpoint_when_their_launcher_is_killed(tmp_path):
    process = command(ROOT / "run_atari.py", *arguments(tmp_path, *ENDLESS, "--processes", 2))
    wait_for_rows(tmp_path)
    process.kill()
    process.communicate(timeout=PATIENCE_SECONDS)
    wait_for(lambda: read_status(tmp_path / "run")["status"] == "stopped")


@pytest.mark.slow
def test_torchrun_starts_a_failed_launch_again_and_the_run_goes_on(tmp_path):
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    words = arguments(tmp_path, "--total_frames", 2000)
    process = command(*torchrun, "--max-restarts=1", ROOT / "run_atari.py", *words)
    wait_for_rows(tmp_path)
    os.kill(ranks_of(process)[1], signal.SIGKILL)
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said
    assert read_status(tmp_path / "run")["status"] == "finished"
    frames = [row["frames"] for row in read_metrics(tmp_path / "run/metrics.jsonl")]
    assert frames == list(range(20, 2001, 20))


@pytest.mark.slow
def test_what_one_machine_cannot_do_is_refused_before_anything_starts(tmp_path):
    process = command(ROOT / "run_atari.py", *arguments(tmp_path, "--processes", 3))
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 2
    assert said.startswith("error: num_groups (2) must be a multiple of the number of processes")
    assert len(said.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_many_runs_with_killed_ranks_go_on(tmp_path, mode):
    tally = campaign_of_rank_kills(tmp_path, mode, num_kills=15, seed=6)
    Report().publish("rank_kills", mode, asdict(tally) | {"provenance": provenance()})
