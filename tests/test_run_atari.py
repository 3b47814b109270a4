"""The command line as a user types it: results, resumption, and one line for every mistake."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from experiment import live
from experiment.checkpoint import load_newest
from experiment.metrics import read_metrics
from models.kernels import build
from run_atari import COMMANDS, USAGE, main
from tests.fault_runs import run

ROOT = Path(__file__).parents[1]
BROKEN = ROOT / "tests/data/broken_guests.py"
RUNS = str(ROOT / "results/pong/rdn/seed1")
SMOKE = ["--config", str(ROOT / "configs/smoke.yaml")]


def run_atari(*arguments, cwd):
    return run(arguments, cwd.with_name(f"{cwd.name}-output"), cwd=cwd)


def check(*arguments, cwd):
    done = run_atari(*arguments, cwd=cwd)
    assert done.code == 0, done.stderr
    return done.stdout


def test_train_stop_resume_equals_training_through(tmp_path):
    check("train", *SMOKE, "--run_dir", "whole", "--stop_after_updates", 8, cwd=tmp_path)
    check("train", *SMOKE, "--run_dir", "parts", "--stop_after_updates", 4, cwd=tmp_path)
    assert json.loads((tmp_path / "parts/status.json").read_text())["status"] == "stopped"
    check("train", "--resume", "parts", "--stop_after_updates", 8, cwd=tmp_path)

    whole, parts = (load_newest(tmp_path / name / "checkpoints") for name in ("whole", "parts"))
    for name, value in whole["policy"].items():
        assert torch.equal(value, parts["policy"][name]), name
    states = [p["trainable"]["learner"]["optimizer"] for p in (whole, parts)]
    for index, moments in enumerate(states[0]):
        for name, value in moments.items():
            assert torch.equal(value, states[1][index][name])
    timed = ("wall_seconds", "speed/", "share/", "memory/")  # the machine, not the run
    rows = [
        [
            {k: v for k, v in row.items() if not k.startswith(timed)}
            for row in read_metrics(tmp_path / name / "metrics.jsonl")
        ]
        for name in ("whole", "parts")
    ]
    assert len(rows[0]) == 8
    assert rows[0] == rows[1]


def test_a_session_that_the_clock_ended_asks_for_another_one(tmp_path):
    limits = ["--max_seconds", 0, "--requeue"]
    assert run_atari("train", *SMOKE, "--run_dir", "run", *limits, cwd=tmp_path).code == 143
    done = run_atari("train", "--resume", "run", "--stop_after_updates", 1, cwd=tmp_path)
    assert done.code == 0, done.stderr


@pytest.mark.skipif(build.unavailable() is not None, reason="no C++ compiler")
@pytest.mark.parametrize(("num_heads", "lines"), [(4, 0), (8, 1)])
def test_a_fused_kernel_that_was_passed_over_is_said_once(tmp_path, num_heads, lines):
    core = ["--core.kind", "delta_net", "--core.hidden_size", 32, "--core.num_heads", num_heads]
    limits = ["--run_dir", "run", "--stop_after_updates", 2]
    done = run_atari("train", *SMOKE, *core, *limits, cwd=tmp_path)
    assert done.code == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if "runs on" in line]
    assert len(said) == lines
    for line in said:
        assert line.startswith("delta_rule runs on reference;")
        assert line.endswith("not cpu: takes head sizes 8 to 128, got 4")


def test_evaluate_prints_the_file_it_writes(tmp_path):
    check("train", *SMOKE, "--run_dir", "run", "--stop_after_updates", 1, cwd=tmp_path)
    how = ["--episodes", 5, "--greedy", "--json"]
    printed = json.loads(check("evaluate", "run", *how, cwd=tmp_path))
    (written,) = (tmp_path / "run/evaluation").glob("*-greedy-*.json")
    assert json.loads(written.read_text()) == printed
    assert printed["settings"]["greedy"] is True


def test_evaluate_all_plays_every_kept_checkpoint(tmp_path):
    often = ["--checkpoint_interval_seconds", 0, "--stop_after_updates", 3]
    check("train", *SMOKE, *often, "--run_dir", "run", cwd=tmp_path)
    printed = check("evaluate", "run", "--all", "--episodes", 5, "--json", cwd=tmp_path)
    files = sorted((tmp_path / "run/evaluation").iterdir())
    names = [f"{n:012d}-gymnasium-sampled-5-0.json" for n in (1, 2, 3)]
    assert [path.name for path in files] == names
    assert json.loads(printed) == [json.loads(path.read_text()) for path in files]


def test_print_config_resolves_without_running(tmp_path):
    printed = check("train", *SMOKE, "--core.bptt", 1, "--seed", 7, "--print_config", cwd=tmp_path)
    config = yaml.safe_load(printed)
    assert config["core"]["bptt"] == 1
    assert config["seed"] == 7
    assert list(tmp_path.iterdir()) == []


GAME, BUDGET = ["--game", "parity"], ["--total_frames=500"]


@pytest.mark.parametrize(
    "typed",
    [[*SMOKE, *GAME, *BUDGET], [*GAME, *SMOKE, *BUDGET], [*GAME, *BUDGET, f"--config={SMOKE[1]}"]],
    ids=["first", "between", "last"],
)
def test_the_command_line_wins_over_its_config_file_wherever_it_stands(capsys, typed):
    with pytest.raises(SystemExit):
        main(["train", *typed, "--print_config"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert (config["game"], config["total_frames"]) == ("parity", 500)
    assert config["log_interval_seconds"] == 0  # of the file


def test_a_benchmark_takes_its_config_file_anywhere(capsys):
    asked = ["bench", "throughput", *GAME, *SMOKE, "--print_config"]
    with pytest.raises(SystemExit):
        main(asked)
    assert yaml.safe_load(capsys.readouterr().out)["game"] == "parity"


def test_a_later_config_file_wins_over_an_earlier_one(tmp_path, capsys):
    (tmp_path / "other.yaml").write_text("seed: 9\n")
    with pytest.raises(SystemExit):
        main(["train", *SMOKE, "--config", str(tmp_path / "other.yaml"), "--print_config"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert (config["seed"], config["game"]) == (9, "tmaze")


def test_numbers_are_taken_as_people_write_them(capsys):
    typed = ["--total_frames", "6e6", "--seed=2e0", "--learner.reward_clip", "inf"]
    with pytest.raises(SystemExit):
        main(["train", *typed, "--run_dir", "runs/1e3", "--print_config"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert (config["total_frames"], config["seed"], config["run_dir"]) == (6000000, 2, "runs/1e3")
    assert config["learner"]["reward_clip"] == float("inf")


def test_a_folder_may_be_called_as_a_number_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for folder in ("5934e21", "runs/rdn-total_frames=3e6"):
        for typed in (["evaluate", folder], ["train", "--resume", folder]):
            assert main(typed) == 2
            assert folder in capsys.readouterr().err
    assert main(["train", "--resume=runs/rdn-seed=3e6"]) == 2
    assert "runs/rdn-seed=3e6" in capsys.readouterr().err


def test_a_file_takes_numbers_as_people_write_them(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text(
        "total_frames: 6e6\nlearner: {reward_clip: inf, discount: 1}\n"
    )
    with pytest.raises(SystemExit):
        main(["train", "--config", str(tmp_path / "c.yaml"), "--print_config"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["total_frames"] == 6000000
    assert config["learner"]["reward_clip"] == float("inf")
    assert type(config["learner"]["discount"]) is float


def test_the_help_of_a_benchmark_shows_the_command_as_typed(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "kernels", "--help"])
    assert capsys.readouterr().out.startswith("usage: run_atari.py bench kernels ")


SLOW_TO_IMPORT = ("torch._dynamo", "scipy", "matplotlib", "tensorboard", "envpool")
STARTED = f"""
import sys, run_atari
for make_parser in (run_atari.train_parser, run_atari.evaluate_parser, run_atari.sweep_parser):
    make_parser()
assert not set({SLOW_TO_IMPORT}) & sys.modules.keys()
from agents.evaluation.saved_policy import load_policy
load_policy(run_atari.Path("results/pong/rdn/seed1"))
assert "torch._dynamo" not in sys.modules
"""


def test_nothing_slow_is_imported_before_it_is_used():
    subprocess.run([sys.executable, "-c", STARTED], cwd=ROOT, check=True, timeout=120)


def test_help_explains_every_field(tmp_path):
    text = check("train", "--help", cwd=tmp_path)
    for line in ("updates by which a rollout may lie", "weight of the policy's entropy"):
        assert line in " ".join(text.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", *SMOKE, "--game", "Pung"], "unknown game 'Pung'; close: Pong-v5"),
        (["train", *SMOKE, "--core.kind", "rdm"], "core.kind"),
        (["train", *SMOKE, "--core.knd", "rdn"], "--core.knd rdn; close: core.kind"),
        (["train", *SMOKE, "--learner.lr", "1"], "--learner.lr 1; close: learner.learning_rate"),
        (["train", *SMOKE, "--learner.xyz", "1"], "--learner.xyz 1; see --help"),
        (["train", *SMOKE, "--seed", "x"], "seed"),
        (["train", *SMOKE, "--encoder.kind", "small"], "small"),
        (["train", *SMOKE, "--learner.discount", "1.5"], "discount must be in [0, 1], got 1.5"),
        (["train", "--config", "absent.yaml"], "absent.yaml"),
        (["train", "--config", "bad.yaml"], "'learning_rat'; close: learner.learning_rate"),
        (["train", "--resume", "absent"], "absent is no run folder"),
        (["train", *SMOKE, "--run_dir", "used"], "used exists already"),
        (["train", *SMOKE, "--run_dir", "bad.yaml/run"], "Not a directory"),
        (["train", "--resume", "used", "--seed=1"], "used is no run folder: it has no config.yaml"),
        (
            ["train", "--resume", "used", *SMOKE, "--learner.num_passes", "1"],
            "--config begins a run; one that goes on takes single settings as flags",
        ),
        (["train", "--num_threads", "99999999999"], "num_threads must be in 0 to 1024"),
        (["train", "--env.num_threads", "100000"], "num_threads must be in 0 to 1024"),
        (["evaluate", "absent"], "no checkpoint at absent"),
        (["watch", "absent"], "no checkpoint at absent"),
        (["watch", "bad.yaml"], "bad.yaml is damaged, or no safetensors file"),
        (["watch", "used", "--episodes", "0"], "episodes must be >= 1, got 0"),
        (["compare", "absent"], "absent is no folder, and no file of runs"),
        (["compare", RUNS, "--out", "used"], "used holds something else than a report"),
        (["compare", RUNS, "--out", "/proc/no"], "no result can be written: "),
        (["sweep", *SMOKE, "--cores", "rdn", "--out", "/proc/no"], "no result can be written: "),
        (["train", *SMOKE, "--init_from", "absent"], "no checkpoint at absent"),
        (["train", *SMOKE, "--init_from", RUNS], "this run must have the same"),
        (["train", *SMOKE, "--encoder.kind", "impala"], "mlp would"),
        (["train", *SMOKE, "--run_dir", "/proc/no"], "No such file or directory: '/proc/no'"),
        (["train", "--game", "gymnasium:Pendulum-v1"], "accepted are Discrete"),
        (["train", "--game", f"{BROKEN}:make"], "ZeroDivisionError in broken_guests.py, line "),
        (["train", *SMOKE, "--core.kind", f"{BROKEN}:Core"], "must return y and state of shapes"),
        (["watch", "used", "--out", "bad.yaml"], "out must end in .mp4 or .gif, got bad.yaml"),
        (["evaluate", "used"], "used has neither checkpoints nor a policy.safetensors"),
        (["evaluate", "used", "--all"], "no checkpoint in used"),
        (["evaluate", "used", "--length", "0"], "length must be >= 1, got 0"),
        (["sweep", *SMOKE, "--cores", "rdm", "--out", "o"], "core.kind"),
        (["sweep", *SMOKE, "--cores", "rdn", "--out", "bad.yaml"], "bad.yaml is a file"),
        (["train", "--config", "core.yaml"], "core holds settings by name"),
        (["train", "--core", "rdn"], "got 'rdn'; want --core.kind rdn"),
        (["train", "--encoder", "impala"], "got 'impala'; want --encoder.kind impala"),
        (["train", "--env", "Pong"], "got 'Pong'; want --game Pong"),
        (["train", "--total_frames", "1.5e0"], "total_frames must be a whole number, got 1.5"),
        (["train", "--core.kind", "LSTM"], "got 'LSTM'; close: lstm"),
        (["train", "--device", "cdua"], "must be one of auto, cpu, cuda, got cdua; close: cuda"),
        (["train", "--device", "gpu"], "must be one of auto, cpu, cuda, got gpu; close: cuda"),
        (["train", "--config", "broken.yaml"], "(in broken.yaml)"),
        (["train", "--config", "kid.yaml"], "'kid'; close: core.kind (in kid.yaml)"),
        (["train", "--lr", "0.1"], "--lr 0.1; close: learner.learning_rate"),
        (["bench", "kernels", "--ops", "grv"], "srwm, got grv"),
        (["evaluate", str(ROOT / "results/pong")], "runs in it: "),
        (["trian"], "got 'trian'; close: train"),
        (["bench", "kernals"], "got kernals; close: kernels"),
        (
            ["fly"],
            "want a command (train, sweep, evaluate, watch, compare, check, bench), got 'fly'",
        ),
    ],
    ids=lambda x: "-".join(map(str, x[-2:])).replace("/", "_") if isinstance(x, list) else None,
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capfd, arguments, message):
    (tmp_path / "bad.yaml").write_text("learner:\n  learning_rat: 1.0\n")
    (tmp_path / "core.yaml").write_text("core: rdn\n")
    (tmp_path / "broken.yaml").write_text("game: tmaze\n  x: [1\n")
    (tmp_path / "kid.yaml").write_text("core:\n  kid: rdn\n")
    (tmp_path / "used").mkdir()
    (tmp_path / "used/keep.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(live, "PATIENCE_SECONDS", 60.0)  # or a slow machine says that it builds
    assert main([*map(str, arguments)]) == 2
    printed, said = capfd.readouterr()
    assert message in said
    assert printed == ""
    assert len(said.strip().splitlines()) == 1, said
    assert (tmp_path / "used/keep.txt").read_text() == "mine"
    left = ["bad.yaml", "broken.yaml", "core.yaml", "kid.yaml", "used"]
    assert sorted(p.name for p in tmp_path.iterdir()) == left


def test_a_mistake_is_the_exit_code_of_the_process(tmp_path):
    command = [sys.executable, ROOT / "run_atari.py", "train", "--game", "Pung"]
    done = subprocess.run(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("error: unknown game 'Pung'; close: Pong-v5")


def test_help_names_every_command_and_each_its_own(capsys):
    assert main(["--help"]) == 0
    assert all(f"\n  {name} " in USAGE for name in COMMANDS)
    assert capsys.readouterr().out.strip() == USAGE
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: run_atari.py evaluate ")


def test_exhausted_memory_is_one_line_in_every_command(monkeypatch, capsys):
    def exhaust(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 B")

    known = ": try a smaller learner.batch_size, learner.unroll_length, num_actors, "
    for command, hint in (("train", known), ("evaluate", "")):
        monkeypatch.setitem(COMMANDS, command, (COMMANDS[command][0], exhaust))
        assert main([command, "runs/pong"]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: out of memory{hint}")
        assert line.endswith("memory") == (not hint)


def test_another_runtime_error_is_not_hidden(monkeypatch):
    def fail(*_):
        raise RuntimeError("a bug")

    monkeypatch.setitem(COMMANDS, "evaluate", (COMMANDS["evaluate"][0], fail))
    with pytest.raises(RuntimeError, match="a bug"):
        main(["evaluate", "runs/pong"])


def test_a_run_has_a_folder_of_its_own_and_ends_with_what_is_next(tmp_path):
    once = ["train", *SMOKE, "--stop_after_updates", 2]
    first, second = (check(*once, cwd=tmp_path) for _ in range(2))
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["tmaze-rdn-1", "tmaze-rdn-1-2"]
    assert "training tmaze rdn, into runs/tmaze-rdn-1; Ctrl-C saves" in first.splitlines()[:2]
    *_, score, folder, following = second.splitlines()
    assert re.fullmatch(r"return \d\.\d\d over its last 100 games; 512 frames in 0:00:\d\d", score)
    assert folder == "run folder: runs/tmaze-rdn-1-2"
    assert following == "next: python run_atari.py train --resume runs/tmaze-rdn-1-2"
    rest = ["--resume", "runs/tmaze-rdn-1", "--total_frames", 800]
    assert check("train", *rest, cwd=tmp_path).splitlines()[-1] == (
        "next: python run_atari.py evaluate runs/tmaze-rdn-1"
    )


def test_a_bare_train_says_what_it_would_do_and_asks(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train"]) == 2
    assert "for 200,000,000 frames into runs/pong-lstm-1\n" in capsys.readouterr().err
    assert main(["train", "--seed", "3"]) == 2
    said = capsys.readouterr()
    assert said.err == (
        "error: train what? Name a game (--game Pong) or settings (--config configs/pong.yaml); "
        "alone this would train Pong-v5 lstm for 200,000,000 frames into runs/pong-lstm-3\n"
    )
    assert said.out == ""
    assert list(tmp_path.iterdir()) == []
