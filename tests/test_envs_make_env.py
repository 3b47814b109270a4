"""Games by name, and what a wrong name or size is told."""

import subprocess
import sys

import ale_py
import envpool
import gymnasium
import pytest

from envs import FAMILIES, EnvConfig, canonical_game, family_of, make_env
from envs.atari.envpool_atari import _envpool_name
from envs.atari.scores import atari_games


@pytest.mark.parametrize("name", ["Pong", "Pong-v5"])
@pytest.mark.parametrize("backend", ["envpool", "gymnasium"])
def test_a_game_has_one_canonical_name(name, backend):
    env = make_env(name, EnvConfig(), 1, 0, backend)
    assert env.spec.game == "Pong-v5"
    assert env.spec.num_actions == 6
    assert env.spec.frame_skip == 4
    env.close()


def test_both_backends_know_every_game():
    games = atari_games()
    gymnasium.register_envs(ale_py)
    ids = [i.removeprefix("ALE/") for i in gymnasium.registry if i.startswith("ALE/")]
    assert sorted(i for i in ids if i.endswith("-v5")) == list(games)
    known = set(envpool.list_all_envs())
    assert all(_envpool_name(game) in known for game in games)
    assert len({_envpool_name(game) for game in games}) == len(games)


@pytest.mark.parametrize(
    ("wrong", "close"),
    [
        ("Pnog", "Pong-v5"),
        ("pong-v5", "Pong-v5"),
        ("Space_Invaders", "SpaceInvaders-v5"),
        ("t_maze", "tmaze"),
        ("keyvalue", "key_value"),
    ],
)
def test_an_unknown_game_lists_close_matches(wrong, close):
    with pytest.raises(ValueError, match=f"unknown game '{wrong}'; close: .*{close}"):
        make_env(wrong, EnvConfig(), 1, 0)


def test_games_that_are_no_atari_games_are_unknown():
    with pytest.raises(ValueError, match="unknown game 'Ant-v5'"):
        canonical_game("Ant-v5")
    with pytest.raises(ValueError, match="unknown game 'CartPole-v1'"):
        canonical_game("CartPole-v1")


def test_names_tell_families_apart_and_only_what_is_listed_is_atari():
    for family in FAMILIES:
        for game in family.games:
            assert canonical_game(game) == game
            assert family_of(game) is family
    (atari,) = (family for family in FAMILIES if family.frame_skip == 4)
    assert family_of("Pong") is atari
    assert all(f.canonical("CartPole-v1") is None for f in FAMILIES)


def test_an_unknown_name_is_told_which_there_are():
    with pytest.raises(ValueError, match=r"there are: .*tmaze.*MemoryS7.*Pong"):
        canonical_game("xyzzy")


def test_an_unknown_backend_is_named():
    with pytest.raises(ValueError, match="backend must be envpool or gymnasium, got 'ale'"):
        make_env("Pong", EnvConfig(), 1, 0, "ale")


def test_there_must_be_an_environment():
    with pytest.raises(ValueError, match="num_envs must be >= 1, got 0"):
        make_env("tmaze", EnvConfig(), 0, 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("frame_stack", 3),
        ("frame_size", 8),
        ("num_threads", -1),
        ("length", 0),
        ("num_pairs", 0),
        ("k", 0),
        ("num_values", 1),
        ("num_corridors", 65),
    ],
)
def test_settings_that_cannot_work_are_refused(field, value):
    with pytest.raises(ValueError, match=f"{field} must be .*, got {value}"):
        EnvConfig(**{field: value})


def test_memory_tasks_load_no_emulator():
    code = (
        "import sys; from envs import EnvConfig, canonical_game, make_env;"
        "make_env('tmaze', EnvConfig(), 2, 0); canonical_game('Pong');"
        "assert not {'envpool', 'ale_py', 'gymnasium', 'cv2', 'torch'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
