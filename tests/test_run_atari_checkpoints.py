"""Checkpoints that cannot be used: one line, exit code 2, and every file as it was."""

import shutil
from pathlib import Path

import pytest
import torch
import yaml

import run_atari
from experiment.checkpoint import load_checkpoint, save_checkpoint

SMOKE = str(Path(__file__).parents[1] / "configs/smoke.yaml")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of one update."""
    run = tmp_path_factory.mktemp("trained") / "run"
    limits = ["--run_dir", str(run), "--stop_after_updates", "1"]
    assert run_atari.main(["train", "--config", SMOKE, *limits]) == 0
    return run


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(trained, "run"))


def checkpoint_of(run):
    (path,) = (run / "checkpoints").glob("*.safetensors")
    return path


def assert_refused(arguments, message, capfd):
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    capfd.readouterr()
    assert run_atari.main(arguments) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


PUBLISHED = Path(__file__).parents[1] / "results/pong/rdn/seed1"


def test_a_published_run_is_not_begun_anew(tmp_path, monkeypatch, capfd):
    """It has metrics, origin and a policy, and no checkpoint."""
    shutil.copytree(PUBLISHED, tmp_path / "pong")
    monkeypatch.chdir(tmp_path)
    message = (
        "pong has no checkpoint to go on from; begin another run like it with "
        "--config pong/config.yaml --run_dir ANOTHER_FOLDER"
    )
    assert_refused(["train", "--resume", "pong", "--stop_after_updates", "1"], message, capfd)


def test_a_run_that_lost_its_checkpoints_is_not_begun_anew(run, capfd):
    for path in (run / "checkpoints").iterdir():
        path.unlink()
    assert_refused(
        ["train", "--resume", "run", "--stop_after_updates", "2"],
        "run has no checkpoint to go on from",
        capfd,
    )


def test_a_run_without_its_settings_is_not_begun_anew(run, capfd):
    (run / "config.yaml").unlink()
    arguments = ["train", "--config", SMOKE, "--run_dir", "run"]
    assert_refused(arguments, "run exists already", capfd)
    for name in ("metrics.jsonl", "provenance.json", "status.json"):
        (run / name).unlink()
    shutil.rmtree(run / "tensorboard")
    assert_refused(arguments, "run exists already", capfd)


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [("core", "kind", "delta_rnn"), ("core", "hidden_size", 64), ("env", "length", 6)],
)
def test_a_checkpoint_of_another_core_or_environment_is_not_resumed(
    run, capfd, section, name, value
):
    config = yaml.safe_load((run / "config.yaml").read_text())
    config[section][name] = value
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    message = f"{checkpoint_of(run).name} was trained otherwise: {section}.{name} cannot change"
    assert_refused(["train", "--resume", "run"], message, capfd)


def with_changed(run, section, name, value):
    payload = load_checkpoint(checkpoint_of(run))
    payload[section][name] = value
    save_checkpoint(checkpoint_of(run), payload)


@pytest.mark.parametrize("command", ["evaluate", "watch"])
def test_weights_of_another_core_are_not_played(run, capfd, command):
    config = load_checkpoint(checkpoint_of(run))["config"]
    with_changed(run, "config", "core", config["core"] | {"kind": "delta_net"})
    message = "holds weights of another policy than its mlp encoder, delta_net core and 2 actions"
    assert_refused([command, "run"], f"{checkpoint_of(run)} {message}", capfd)


def test_a_policy_of_another_action_set_is_not_played(run, capfd):
    with_changed(run, "spec", "num_actions", 5)
    message = "holds weights of another policy than its mlp encoder, rdn core and 5 actions"
    assert_refused(["evaluate", "run"], message, capfd)


def test_a_policy_of_more_actions_than_the_game_has_is_not_played(run, capfd):
    payload = load_checkpoint(checkpoint_of(run))
    payload["spec"]["num_actions"] = 5
    for name in ("weight", "bias"):
        rows = payload["policy"][f"policy_head.{name}"]
        payload["policy"][f"policy_head.{name}"] = rows[[0, 1, 0, 1, 0]]
    save_checkpoint(checkpoint_of(run), payload)
    assert_refused(["evaluate", "run"], "the policy has 5 actions, tmaze here has 2", capfd)


def test_a_policy_of_another_game_is_not_played(run, capfd):
    with_changed(run, "config", "game", "parity")
    assert_refused(
        ["evaluate", "run"], "the policy sees ((4,), 'float32'), parity here gives", capfd
    )


# What is changed in a sound checkpoint (None: removed), and what is then said of it.
NO_RUN = {
    "trainable": (None, "trainable must be values by name, got NoneType"),
    "seconds": ("1", "seconds must be float, got str"),
    "trainable.recent_returns": ([None], "trainable.recent_returns[0] must be float, got NoneType"),
    "trainable.learner": (None, "trainable has no learner"),
    "trainable.num_learned": (-1, "trainable.num_learned must be in 0 to 281474976710656, got -1"),
    "trainable.learner.version": ("1", "trainable.learner.version must be int, got str"),
    "trainable.learner.optimizer": ([], "learner.optimizer must hold"),
    "trainable.learner.optimizer.0.exp_avg": (
        torch.zeros(1),
        "optimizer[0].exp_avg must be torch.",
    ),
    "policy.policy_head.bias": (torch.zeros(3), "bias must be torch.float32 [2]"),
    "trainable.learner.generator": (torch.zeros(5056, dtype=torch.uint8), "mt19937"),
    "trainable.actors.0.generator": (torch.zeros(9, dtype=torch.uint8), "no state of a random"),
    "trainable.actors": ([], "trainable.actors must hold 1 values, got 0"),
    "trainable.actors.0.games.env.elapsed": (torch.full((16,), 99), "index 99 is out of bounds"),
    "trainable.actors.0.games.step.reward": (torch.zeros(8), "reward must be torch.float32 [16]"),
    "trainable.actors.0.games": (None, "trainable.actors[0] has no games"),
}


def with_part(path, name, value):
    """Changes a part of a checkpoint, by its full name."""
    payload = owner = load_checkpoint(path)
    if name.startswith("policy."):  # whose own names have dots
        owner, last = payload["policy"], name.removeprefix("policy.")
    else:
        *parents, last = (int(part) if part.isdigit() else part for part in name.split("."))
        for parent in parents:
            owner = owner[parent]
    if value is None:
        del owner[last]
    else:
        owner[last] = value
    save_checkpoint(path, payload)


def test_a_run_saved_on_a_gpu_goes_on_without_one(run, caplog):
    with_part(
        checkpoint_of(run), "trainable.actors.0.generator", torch.zeros(16, dtype=torch.uint8)
    )
    assert run_atari.main(["train", "--resume", "run", "--stop_after_updates", "2"]) == 0
    assert "saved on another device: the streams of actions begin anew" in caplog.text


@pytest.mark.parametrize("name", NO_RUN)
def test_a_sound_file_that_holds_no_run_is_not_resumed(run, capfd, name):
    value, message = NO_RUN[name]
    with_part(checkpoint_of(run), name, value)
    assert_refused(["train", "--resume", "run"], message, capfd)


def test_the_checkpoint_before_one_that_holds_no_run_is_resumed(run, capfd, caplog):
    newer = checkpoint_of(run).with_name("000000000009.safetensors")
    shutil.copyfile(checkpoint_of(run), newer)
    with_part(newer, "trainable.learner", None)
    assert run_atari.main(["train", "--resume", "run", "--stop_after_updates", "2"]) == 0
    assert (
        "000000000009.safetensors holds no run to go on with: trainable has no learner"
        in caplog.text
    )
    assert sorted(p.name for p in (run / "checkpoints").iterdir()) == [
        "000000000001.safetensors",
        "000000000002.safetensors",
    ]


NO_POLICY = {
    "policy": (None, "holds no policy: it has no policy"),
    "spec.frame_skip": ("4", "holds no policy: sizes must be counts"),
    "config.learner": (3, "holds no policy: unusable settings: learner must hold settings by name"),
    "progress.frames": (None, "holds no policy: progress has no frames"),
    "progress.updates": (
        -2,
        "holds no policy: progress.updates must be in 0 to 281474976710656, got -2",
    ),
}


@pytest.mark.parametrize("command", ["evaluate", "watch"])
@pytest.mark.parametrize("name", NO_POLICY)
def test_a_sound_file_that_holds_no_policy_is_not_played(run, capfd, command, name):
    value, message = NO_POLICY[name]
    with_part(checkpoint_of(run), name, value)
    assert_refused([command, "run"], f"{checkpoint_of(run)} {message}", capfd)
    assert_refused([command, str(checkpoint_of(run))], message, capfd)


@pytest.mark.parametrize("command", [["train", "--resume"], ["evaluate"], ["watch"]])
@pytest.mark.parametrize("kept_bytes", [0, 10, 2000])
def test_a_truncated_checkpoint_is_named(run, capfd, command, kept_bytes):
    path = checkpoint_of(run)
    path.write_bytes(path.read_bytes()[:kept_bytes])
    assert_refused([*command, "run"], f"no usable checkpoint in run/checkpoints; {path} is ", capfd)


def test_a_truncated_checkpoint_asked_for_by_name_is_named(run, capfd):
    path = checkpoint_of(run)
    path.write_bytes(path.read_bytes()[:-1])
    assert_refused(["evaluate", str(path)], f"{path} is damaged", capfd)


@pytest.mark.parametrize("command", [["evaluate"], ["watch"]])
def test_a_missing_checkpoint_is_named_with_what_would_be_right(run, capfd, command):
    missing = "run/checkpoints/000000000009.safetensors"
    message = f"no checkpoint at {missing}; give a run folder, a checkpoint or a policy.safetensors"
    assert_refused([*command, missing], message, capfd)
    checkpoint_of(run).unlink()
    message = "run has neither checkpoints nor a policy.safetensors; give a run folder that has, a "
    assert_refused([*command, "run"], message, capfd)
