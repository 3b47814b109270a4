"""A run goes on with other settings: what may change does, is recorded, and moves no count."""

import dataclasses
import json
from pathlib import Path

import pytest
import yaml

import run_atari
from agents.impala.config import LearnerConfig, TrainConfig
from agents.runs import train
from envs import EnvConfig
from experiment.checkpoint import load_checkpoint, save_checkpoint
from experiment.metrics import read_metrics
from experiment.session import SessionConfig
from models.cores import CoreConfig
from models.encoders import EncoderConfig

FRAMES = 64  # of one rollout
BEGUN = 40  # rollouts before the change
TOTAL = 6400
RATE = 0.01
CONFIG = TrainConfig(
    game="tmaze",
    env=EnvConfig(length=3),
    core=CoreConfig(kind="feedforward", hidden_size=8, num_heads=2, num_layers=1),
    encoder=EncoderConfig(kind="mlp"),
    learner=LearnerConfig(unroll_length=16, batch_size=4, learning_rate=RATE),
    total_frames=TOTAL,
    log_interval_seconds=0,
    num_threads=1,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def begin(folder, rollouts=BEGUN, **settings):
    config = dataclasses.replace(CONFIG, run_dir=str(folder), **settings)
    return train(config, SessionConfig(stop_after_updates=rollouts))


def go_on(run, updates, *flags):
    arguments = ["train", "--resume", str(run), "--stop_after_updates", str(updates)]
    return run_atari.main([*arguments, *flags])


def edit(run, name, value):
    """Changes a setting in the run's config.yaml."""
    config = yaml.safe_load((run / "config.yaml").read_text())
    *owners, last = name.split(".")
    section = config
    for owner in owners:
        section = section[owner]
    section[last] = value
    (run / "config.yaml").write_text(yaml.safe_dump(config))


def change(how, run, name, value):
    """Returns the flags of a change, none where config.yaml is edited instead."""
    if how == "flag":
        return [f"--{name}={value}"]
    edit(run, name, value)
    return []


def setting(run, name):
    value = yaml.safe_load((run / "config.yaml").read_text())
    for part in name.split("."):
        value = value[part]
    return value


def sessions(run):
    return json.loads((run / "provenance.json").read_text())["resumed"]


def rows_of(run, *tags):
    return [tuple(row[tag] for tag in tags) for row in read_metrics(run / "metrics.jsonl")]


def rate_at(frames, total=TOTAL):
    return RATE * (1 - frames / total)


# What changes, its value before and after, and the frames of a rollout then.
SIZES = [
    ("learner.batch_size", 4, 2, 32),
    ("learner.batch_size", 4, 8, 128),
    ("learner.unroll_length", 16, 8, 32),
    ("learner.unroll_length", 16, 32, 128),
    ("num_groups", 1, 2, 64),
]


@pytest.mark.parametrize("how", ["flag", "edit"])
@pytest.mark.parametrize(("name", "before", "after", "frames"), SIZES)
def test_counts_schedule_and_rows_go_on_from_what_happened(
    tmp_path, how, name, before, after, frames
):
    run = begin(tmp_path / "run")
    metrics = run / "metrics.jsonl"
    kept, done = metrics.read_bytes(), BEGUN * FRAMES

    assert go_on(run, BEGUN + 3, *change(how, run, name, after)) == 0
    assert go_on(run, BEGUN + 5) == 0  # with what was set before

    assert metrics.read_bytes().startswith(kept)
    ends = [*range(FRAMES, done + 1, FRAMES), *(done + frames * n for n in range(1, 6))]
    begins = [0, *ends[:-1]]
    assert rows_of(run, "frames", "updates") == list(zip(ends, range(1, 46), strict=True))
    rates = [rate for (rate,) in rows_of(run, "learner/learning_rate")]
    assert rates == pytest.approx([rate_at(at) for at in begins], rel=1e-12)
    assert setting(run, name) == after
    changed = [(session["frames"], session["changed"]) for session in sessions(run)]
    assert changed == [
        (done, {name: {"from": before, "to": after}}),
        (done + 3 * frames, {}),
    ]


@pytest.mark.parametrize("mode", ["serial", "async"])
def test_a_run_of_changed_size_ends_at_its_last_frame(tmp_path, mode):
    run = begin(tmp_path / "run", total_frames=12 * FRAMES, rollouts=6, mode=mode)
    assert go_on(run, 100, "--learner.batch_size=8") == 0
    assert json.loads((run / "status.json").read_text())["status"] == "finished"
    frames = [*range(FRAMES, 6 * FRAMES + 1, FRAMES), 512, 640, 768]
    assert rows_of(run, "frames") == [(number,) for number in frames]


@pytest.mark.parametrize(
    ("flag", "begin_anew"),
    [
        ("--learner.batch_size=8", True),
        ("--num_groups=2", True),
        ("--learner.unroll_length=8", False),
        ("--total_frames=9000", False),
    ],
)
def test_games_begin_anew_only_with_another_number_of_environments(
    tmp_path, caplog, flag, begin_anew
):
    run = begin(tmp_path / "run", rollouts=3)
    assert go_on(run, 4, flag) == 0
    assert ("the games begin anew" in caplog.text) is begin_anew


@pytest.mark.parametrize("how", ["flag", "edit"])
def test_a_longer_run_recomputes_its_step_size_from_the_true_count(tmp_path, how, caplog):
    run, done = begin(tmp_path / "run"), BEGUN * FRAMES
    assert go_on(run, BEGUN + 1, *change(how, run, "total_frames", 2 * TOTAL)) == 0
    *_, (rate,) = rows_of(run, "learner/learning_rate")
    assert rate == pytest.approx(rate_at(done, 2 * TOTAL), rel=1e-12)
    assert f"{run} goes on at 2,560 frames with total_frames 12800 (6400 before)" in caplog.text
    assert "learning rate at 2,560 frames: 0.006 before, 0.008 now" in caplog.text
    assert setting(run, "total_frames") == 2 * TOTAL


def test_a_finished_run_goes_on_to_more_frames(tmp_path, caplog):
    run = begin(tmp_path / "run", total_frames=3 * FRAMES)
    assert go_on(run, 100) == 0
    assert "has its 192 frames already: nothing is left to do" in caplog.text
    assert go_on(run, 100, f"--total_frames={5 * FRAMES}") == 0
    assert rows_of(run, "frames") == [(FRAMES * n,) for n in range(1, 6)]


def assert_refused(run, flags, message, capfd):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    capfd.readouterr()
    assert go_on(run, 100, *flags) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    return begin(tmp_path_factory.mktemp("begun") / "run", rollouts=3)


@pytest.fixture
def run(begun):
    """A run of three rollouts, for tests that leave it as it is but for its config.yaml."""
    settings = (begun / "config.yaml").read_bytes()
    yield begun
    (begun / "config.yaml").write_bytes(settings)


@pytest.mark.parametrize("how", ["flag", "edit"])
def test_a_run_cannot_have_fewer_frames_than_it_has_done(run, how, capfd):
    flags = change(how, run, "total_frames", 3 * FRAMES - 1)
    assert_refused(run, flags, "total_frames cannot become 191: 192 frames are done", capfd)


REFUSED = {
    "game": ("parity", "game cannot change from tmaze to parity: it decides what is trained"),
    "core.kind": ("lstm", "core.kind cannot change from feedforward to lstm: it decides what is"),
    "core.bptt": (1, "core.bptt cannot change from full to 1: it decides what is trained"),
    "env.length": (6, "env.length cannot change from 3 to 6: it decides what is trained"),
    "encoder.size": (24, "encoder.size cannot change from 256 to 24: it decides what is trained"),
    "learner.learning_rate": (0.5, "cannot change from 0.01 to 0.5: it decides what is learned"),
    "mode": ("async", "mode cannot change from serial to async: it decides what is learned"),
    "seed": (7, "seed cannot change from 1 to 7: it names the run"),
    "run_dir": ("elsewhere", "to elsewhere: it names the run"),
}


@pytest.mark.parametrize("how", ["flag", "edit"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_a_run_keeps_is_refused_with_name_and_reason(run, how, name, capfd):
    value, message = REFUSED[name]
    assert_refused(run, change(how, run, name, value), message, capfd)


def test_every_refused_change_is_named(run, capfd):
    message = "from 1 to 7: it names the run; learner.learning_rate cannot change from 0.01 to 0.5"
    flags = ["--learner.learning_rate=0.5", "--seed=7", "--learner.batch_size=2"]
    assert_refused(run, flags, message, capfd)


def test_a_file_of_settings_is_refused(run, capfd):
    smoke = str(Path(run_atari.__file__).parent / "configs/smoke.yaml")
    message = "--config begins a run; one that goes on takes single settings as flags"
    assert_refused(run, ["--config", smoke], message, capfd)


def test_a_change_that_does_not_fit_the_runs_other_settings_is_refused(run, capfd):
    message = "learner.batch_size (4) must be a multiple of num_groups (3)"
    assert_refused(run, ["--num_groups=3"], message, capfd)
    assert_refused(run, ["--learner.batch_size=x"], "learner.batch_size", capfd)


def test_a_change_need_not_fit_the_defaults_of_other_settings(tmp_path):
    """The default batch of 32 is no multiple of 3."""
    learner = dataclasses.replace(CONFIG.learner, batch_size=9)
    run = begin(tmp_path / "run", rollouts=1, learner=learner)
    assert go_on(run, 2, "--num_groups=3", "--learner.num_minibatches=3") == 0


def test_a_core_with_settings_of_its_own_goes_on_and_keeps_them(tmp_path, capfd):
    core = CoreConfig(kind="delta_net", hidden_size=8, num_heads=2, num_layers=1)
    run = begin(tmp_path / "run", rollouts=1, core=core)
    message = "core.args.key_norm cannot change from sum to l2: it decides what is trained"
    assert_refused(run, ["--core.args.key_norm=l2"], message, capfd)
    assert go_on(run, 2, "--learner.batch_size=2") == 0
    edit(run, "core.args", {})
    message = "core.args.key_norm cannot change from sum to None"
    assert_refused(run, [], message, capfd)


def test_numbers_are_written_as_where_a_run_begins(tmp_path):
    run = begin(tmp_path / "run", rollouts=1)
    assert go_on(run, 2, "--total_frames", "1e4") == 0
    assert setting(run, "total_frames") == 10_000


def test_a_flag_that_changes_nothing_is_no_change(tmp_path):
    run = begin(tmp_path / "run", rollouts=1)
    assert go_on(run, 2, "--learner.learning_rate=0.01", "--learner.batch_size=4") == 0
    assert [session["changed"] for session in sessions(run)] == [{}]


def test_a_change_that_is_taken_back_before_a_checkpoint_is_gone(tmp_path):
    run = begin(tmp_path / "run", rollouts=1)
    for size in (8, 4):
        assert go_on(run, 1, f"--learner.batch_size={size}") == 0
        assert setting(run, "learner.batch_size") == size
    assert go_on(run, 2) == 0
    assert setting(run, "learner.batch_size") == 4
    assert sessions(run)[-1]["changed"] == {}


INCIDENTAL = {
    "device": ("auto", "cpu"),
    "num_threads": (1, 2),
    "env.num_threads": (0, 3),
    "core.kernel": ("auto", "reference"),
    "log_interval_seconds": (0.0, 5.0),
    "checkpoint_interval_seconds": (60.0, 0.0),
    "keep_checkpoints": (3, 1),
    "milestone_interval_frames": (None, 100),
    "learner.skip_nonfinite": (False, True),
}


def test_where_and_how_a_run_computes_and_saves_may_change(tmp_path):
    run = begin(tmp_path / "run", rollouts=1)
    assert go_on(run, 3, *(f"--{name}={value}" for name, (_, value) in INCIDENTAL.items())) == 0
    (session,) = sessions(run)
    changed = {name: {"from": a, "to": b} for name, (a, b) in INCIDENTAL.items()}
    assert session["changed"] == changed
    assert {name: setting(run, name) for name in INCIDENTAL} == {
        name: after for name, (_, after) in INCIDENTAL.items()
    }
    names = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert names == ["000000000002.milestone.safetensors", "000000000003.safetensors"]


def test_a_checkpoint_with_settings_of_newer_code_is_not_passed_over(tmp_path, capfd):
    run = begin(tmp_path / "run", rollouts=1)
    newer = run / "checkpoints/000000000002.safetensors"
    payload = load_checkpoint(run / "checkpoints/000000000001.safetensors")
    payload["config"]["core"]["invented"] = 1
    save_checkpoint(newer, payload)
    message = "000000000002.safetensors was trained otherwise: unusable settings"
    assert_refused(run, [], message, capfd)


def test_settings_younger_than_a_checkpoint_have_their_defaults_in_it(tmp_path):
    run = begin(tmp_path / "run", rollouts=1)
    path = run / "checkpoints/000000000001.safetensors"
    payload = load_checkpoint(path)
    del payload["config"]["core"]["bptt"], payload["config"]["keep_checkpoints"]
    save_checkpoint(path, payload)
    assert go_on(run, 2) == 0
    assert [session["changed"] for session in sessions(run)] == [{}]


def test_a_session_that_cannot_begin_changes_nothing(run, capfd, monkeypatch):
    def exhaust(*_, **__):
        raise MemoryError

    monkeypatch.setattr("agents.impala.trainer.Learner", exhaust)
    assert_refused(run, ["--learner.batch_size=8"], "out of memory", capfd)
