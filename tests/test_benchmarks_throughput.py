"""The throughput benchmark: its figures by hand, and every part of it once at tiny sizes."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from agents.impala.config import config_from_values
from benchmarks import throughput_report
from benchmarks.autotune import autotune, candidates
from benchmarks.peers import time_recurrent_ppo
from benchmarks.plain_loop import PlainLoop, lstm_size
from benchmarks.throughput import (
    ASYNC_ROLLOUTS,
    Settings,
    Whole,
    time_parts,
    trace,
    with_every_core,
)
from experiment.provenance import usable_cores
from models.cores import CORES, resolved

ROOT = Path(__file__).parents[1]
KEYS = {
    "core",
    "encoder",
    "env_steps_per_second",
    "act_steps_per_second",
    "learn_steps_per_second",
    "steps_per_second",
    "efficiency",
    "plain_steps_per_second",
    "peak_memory_bytes",
}


def tiny(**options):
    values = {
        "game": "Pong",
        "encoder": {"kind": "small"},
        "core": {"kind": "lstm", "hidden_size": 16},
        "learner": {"unroll_length": 3, "batch_size": 4, "num_passes": 2, "num_minibatches": 2},
    }
    return config_from_values(values | options)


def test_figures_by_hand():
    speeds = {"env": 600.0, "act": 300.0, "learn": 200.0, "whole": 90.0, "plain": 30.0}
    speeds["env_only"] = 900.0
    rates = {name: {"steps_per_second": rate} for name, rate in speeds.items()}
    found = throughput_report.figures(tiny(), rates)
    assert found["efficiency"] == pytest.approx(90.0 / 100.0)  # 1/600 + 1/300 + 1/200 = 1/100
    assert found["times_plain"] == pytest.approx(3.0)
    assert found["share_of_random_play"] == pytest.approx(0.1)
    assert found["frames_per_second"] == pytest.approx(360.0)


def test_speed_is_steps_over_the_median_second():
    speed = throughput_report.summarise_speed([1.0, 2.0, 4.0], steps=8)
    assert speed == {"steps_per_second": 4.0, "quartiles": [8 / 3, 8 / 1.5]}


def test_every_part_is_timed_and_the_report_is_whole(one_thread):
    report = throughput_report.run(tiny(), Settings(rounds=2))
    assert set(report) >= KEYS
    assert all(speed["steps_per_second"] > 0 for speed in report["speeds"].values())
    assert set(report["speeds"]) == {"env", "env_only", "act", "learn", "whole", "plain"}
    assert report["peak_memory_bytes"] > 2**20
    assert len(throughput_report.tables(json.loads(json.dumps(report)))) == 2


def test_async_mode_and_a_task_without_a_plain_loop(one_thread):
    values = {"game": "control", "encoder": {"kind": "mlp"}, "mode": "async", "exact_lag": 1}
    parts = time_parts(tiny(**values), rounds=2)
    assert "plain" not in parts["seconds"]
    assert all(min(seconds) > 0 for seconds in parts["seconds"].values())


def test_actors_ahead_of_the_clock_are_caught_up_with(one_thread):
    values = {"game": "control", "encoder": {"kind": "mlp"}, "mode": "async", "num_actors": 3}
    with Whole(tiny(**values)) as whole:
        whole()
        assert whole.trainer.num_learned == 3 + 1 + ASYNC_ROLLOUTS


def test_a_run_too_short_to_time_is_refused(one_thread):
    with Whole(tiny(total_frames=48)) as whole:  # 3 steps of 4 environments, 4 frames each
        whole()
        with pytest.raises(ValueError, match="total_frames 48 ends before all is timed"):
            whole()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_what_is_compared_with_is_asked_for_the_same_device():
    with pytest.raises(ValueError, match="cuda was asked for"):
        PlainLoop(tiny(device="cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_plain_loop_learns_on_the_gpu():
    loop = PlainLoop(tiny())
    assert loop.step() > 0
    loop.close()
    assert all(p.is_cuda and torch.isfinite(p).all() for p in loop.agent.parameters())


@pytest.mark.parametrize("core", sorted(CORES))
def test_the_plain_loop_has_an_lstm_beside_any_core(core):
    config = tiny(core={"kind": core})
    assert lstm_size(replace(config, core=resolved(config.core))) == 256


def test_the_plain_loop_has_every_core_where_actors_and_learner_share_them():
    values = {"num_threads": 1, "env": {"num_threads": 1}}
    alone = with_every_core(tiny(**values, mode="async", exact_lag=1))
    assert (alone.num_threads, alone.env.num_threads) == (usable_cores(), 0)
    in_turns = tiny(**values)
    assert with_every_core(in_turns) == in_turns


def test_the_plain_loop_collects_games_and_learns(one_thread):
    loop = PlainLoop(tiny())
    before = [p.clone() for p in loop.agent.parameters()]
    assert loop.step() > 0
    loop.close()
    assert loop.pixels.any()
    assert all(torch.isfinite(p).all() for p in loop.agent.parameters())
    assert not all(map(torch.equal, before, loop.agent.parameters()))


def test_the_plain_loop_wipes_its_memory_at_a_start(one_thread):
    loop = PlainLoop(tiny())
    loop.close()
    pixels, size = loop.pixels[:1], loop.config.core.hidden_size
    used = (torch.ones(1, 4, size), torch.ones(1, 4, size))
    fresh = (torch.zeros(1, 4, size), torch.zeros(1, 4, size))
    with torch.no_grad():
        wiped = loop.agent(pixels, torch.ones(1, 4), used)[1]
        torch.testing.assert_close(wiped, loop.agent(pixels, torch.zeros(1, 4), fresh)[1])
        assert not torch.allclose(wiped, loop.agent(pixels, torch.zeros(1, 4), used)[1])


def test_a_trace_names_the_operators(tmp_path, one_thread):
    path = tmp_path / "trace.json"
    trace(tiny(), str(path))
    names = {event.get("name") for event in json.loads(path.read_text())["traceEvents"]}
    assert "aten::mkldnn_convolution" in names or "aten::convolution" in names


def test_the_fastest_candidate_is_written(tmp_path, monkeypatch):
    config, path = tiny(), tmp_path / "tuned.yaml"
    *_, fastest = candidates(config)

    def seconds(configs, rounds):
        return {name: [1.0 if c == fastest else 2.0] * rounds for name, c in configs.items()}

    monkeypatch.setattr("benchmarks.autotune.time_loops", seconds)
    assert autotune(config, Settings(autotune=str(path))) == fastest
    assert config_from_values(yaml.safe_load(path.read_text())) == fastest


def test_candidates_change_speed_only():
    config = tiny()
    for candidate in candidates(config):
        env = replace(candidate.env, num_threads=config.env.num_threads)
        back = replace(candidate, env=env, num_threads=config.num_threads)
        assert replace(back, num_groups=config.num_groups) == config


def bench(*arguments):
    command = [sys.executable, ROOT / "run_atari.py", "bench", "throughput", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rounds", "1"], "rounds must be >= 2, got 1"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
        (["--core.kind", "rdm"], "rdm"),
    ],
)
def test_a_mistake_is_one_line(arguments, message):
    done = bench(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_autotune_overwrites_nothing(tmp_path):
    path = tmp_path / "tuned.yaml"
    path.write_text(yaml.safe_dump({"game": "Pong"}))
    done = bench("--autotune", str(path))
    assert done.returncode == 2
    assert "exists; name a new file" in done.stderr
    assert yaml.safe_load(path.read_text()) == {"game": "Pong"}


def test_autotune_wants_a_folder_before_it_measures(tmp_path):
    with pytest.raises(ValueError, match=r"there is no folder .*/absent"):
        autotune(tiny(), Settings(autotune=str(tmp_path / "absent/tuned.yaml")))


@pytest.mark.slow
def test_recurrent_ppo_runs_on_the_same_environments(one_thread):
    pytest.importorskip("sb3_contrib", reason="needs the extra `peers`")
    seconds = time_recurrent_ppo(tiny(), rounds=2)
    assert len(seconds) >= 2
    assert min(seconds) > 0
