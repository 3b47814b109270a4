"""Evaluation: which games count, how they are scored, and what is written."""

import dataclasses
import json
from typing import ClassVar

import gymnasium
import numpy as np
import pytest
import torch

from agents.evaluation.display import EvaluationDisplay
from agents.evaluation.evaluate import EvaluationConfig, evaluate, play, played_env
from agents.evaluation.games import FirstGames
from agents.evaluation.player import Player, make_env_of
from agents.evaluation.results import result_name, summary
from agents.evaluation.saved_policy import export_policy, load_policy
from agents.impala.config import LearnerConfig, TrainConfig
from agents.runs import train
from envs import EnvConfig, make_env
from envs.config import MAX_SIZES
from envs.guest.env import GuestRows
from envs.spec import EnvStep
from experiment.checkpoint import load_newest, save_checkpoint
from models.cores import CoreConfig
from models.encoders import ENCODERS, EncoderConfig
from models.policy import Policy
from run_atari import main
from tests.probe import episode_length
from tests.small_runs import evaluate_and_save


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = TrainConfig(
        game="tmaze",
        env=EnvConfig(length=4),
        core=CoreConfig(kind="delta_net", hidden_size=16, num_heads=2, num_layers=1),
        encoder=EncoderConfig(kind="mlp"),
        learner=LearnerConfig(unroll_length=8, batch_size=4),
        total_frames=64,
        run_dir=str(tmp_path_factory.mktemp("runs") / "run"),
    )
    return train(config)


def test_only_the_first_game_of_each_environment_counts():
    env = make_env("probe", EnvConfig(), 6, seed=0)
    games = FirstGames(6)
    expected, first = np.zeros(6), episode_length(np.arange(6), np.zeros(6, dtype=int))
    steps = 0
    while games.playing.any():
        step = env.recv()
        games.count(step)
        expected += np.where(steps <= first, step.reward, 0.0)
        env.send(np.zeros(6, dtype=np.int64))
        steps += 1
    np.testing.assert_array_equal(games.returns, expected)
    np.testing.assert_array_equal(games.steps, first)
    assert len(games.life_returns) == 12  # two lives a game
    np.testing.assert_allclose(sum(games.life_returns), expected.sum())


def count(rows):
    """Returns the counts of one game, of rows (reward, lives left, game over)."""
    games, no = FirstGames(1), np.zeros(1, bool)
    for reward, lives, over in rows:
        games.count(
            EnvStep(
                observation=np.zeros((1, 1), np.float32),
                reward=np.array([reward], np.float32),
                start=no,
                terminated=no,
                truncated=no,
                game_over=np.array([over]),
                lives=np.array([lives], np.int32),
            )
        )
    return games


def test_a_game_that_goes_on_without_lives_has_no_life_more():
    """Three lives of WizardOfWor, whose game ends some steps after the last one is lost."""
    rows = [(0, 3, 0), (300, 2, 0), (150, 2, 0), (50, 1, 0), (1000, 0, 0), (0, 0, 0), (0, 0, 1)]
    games = count([(reward, lives, bool(over)) for reward, lives, over in rows])
    assert games.life_returns == [300, 200, 1000]
    assert np.mean(games.life_returns) == 500
    assert games.has_lives


def test_a_game_without_lives_counts_none(run):
    assert not count([(0, 0, False), (1, 0, True)]).has_lives
    _, result = evaluate_and_save(run, EvaluationConfig(episodes=3))
    assert result["per_life_mean_return"] is None
    assert "life" not in summary(result)
    assert "mean per life     2.50" in summary(result | {"per_life_mean_return": 2.5})


def test_the_same_seed_plays_the_same_games_and_another_does_not(run):
    saved = load_policy(run)
    first, again, other = (
        play(saved, EvaluationConfig(seed=seed), 64).returns for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("greedy", [False, True])
def test_a_greedy_player_takes_the_likeliest_action_and_another_samples(run, greedy):
    saved = load_policy(run)
    env = make_env_of(saved, 64, seed=0, backend="gymnasium")
    player = Player(saved, 64, seed=0, greedy=greedy)
    likeliest = []
    for _ in range(3):
        output, actions = player.act(env.recv())
        likeliest.append((actions == output.logits[0].argmax(-1)).float().mean().item())
        env.send(actions.numpy())
    env.close()
    assert (min(likeliest) == 1.0) is greedy


def test_results_are_written_beside_the_run_and_never_over_another(run):
    config = EvaluationConfig(episodes=10)
    first, result = evaluate_and_save(run, config)
    second, _ = evaluate_and_save(run, config)
    assert first != second
    assert json.loads(first.read_text()) == result
    returns = result["episodes"]["return"]
    assert len(returns) == 10
    assert result["mean_return"] == pytest.approx(np.mean(returns))
    assert result["standard_error"] == pytest.approx(np.std(returns, ddof=1) / 10**0.5)
    assert result["episodes"]["steps"] == [5] * 10


def test_a_result_says_how_large_the_policy_and_its_memory_are(run):
    _, result = evaluate_and_save(run, EvaluationConfig(episodes=1))
    policy = load_policy(run).policy
    assert result["size"]["parameters"] == sum(p.numel() for p in policy.parameters())
    assert 0 < result["size"]["core_parameters"] < result["size"]["parameters"]
    assert result["size"]["state_bytes"] == 2 * 8 * 8 * 4  # heads x side x side, float32


def test_a_policy_is_played_at_another_length_and_the_result_says_so(run):
    config = EvaluationConfig(episodes=3, seed=7, length=9)
    path, result = evaluate_and_save(run, config)
    assert path.name.endswith("-sampled-3-7-length9.json")
    assert result["settings"]["length"] == 9
    assert result["episodes"]["steps"] == [10] * 3


def test_a_policy_of_the_greatest_length_is_played_at_another():
    trained, config = EnvConfig(length=MAX_SIZES["length"]), EvaluationConfig(length=9)
    assert played_env("tmaze", trained, config) == EnvConfig(length=9)


GAMES = {"mlp": "tmaze", "symbols": "MiniGrid-MemoryS7-v0", "small": "Pong", "impala": "Pong"}


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_policy_of_every_encoder_is_loaded_with_its_weights_and_acts(tmp_path, encoder):
    config = TrainConfig(
        game=GAMES[encoder],
        env=EnvConfig(num_threads=1),
        core=CoreConfig(kind="rdn", hidden_size=16, num_heads=2, num_layers=1),
        encoder=EncoderConfig(kind=encoder),
        learner=LearnerConfig(unroll_length=2, batch_size=2),
        total_frames=1,
        run_dir=str(tmp_path / "run"),
    )
    run = train(config)
    saved, trained = load_policy(run), load_newest(run / "checkpoints")["policy"]
    weights = saved.policy.state_dict()
    assert weights.keys() == trained.keys()
    assert all(torch.equal(weights[name], trained[name]) for name in weights)
    env = make_env_of(saved, 2, 0, "gymnasium")
    output, actions = Player(saved, 2, 0, greedy=False).act(env.recv())
    assert actions.shape == (2,)
    assert output.logits.isfinite().all()
    env.close()


@pytest.mark.parametrize("game", ["key_value", "Pong-v5"])
def test_a_length_is_refused_where_there_is_none(game):
    with pytest.raises(ValueError, match=f"length 9 was asked for, but {game} has no length"):
        played_env(game, EnvConfig(), EvaluationConfig(length=9))


def test_an_exported_policy_is_that_of_the_run_in_half_precision(run, tmp_path):
    export_policy(run, tmp_path / "policy.safetensors")
    exported, original = load_policy(tmp_path / "policy.safetensors"), load_policy(run)
    pairs = zip(exported.policy.parameters(), original.policy.parameters(), strict=True)
    assert all(torch.equal(a, b.half().float()) for a, b in pairs)
    assert exported.config == original.config


def test_a_checkpoint_file_is_evaluated_into_its_run(run):
    (file,) = (run / "checkpoints").glob("*.safetensors")
    path, _ = evaluate_and_save(file, EvaluationConfig(episodes=2, seed=5))
    assert path.parent == run / "evaluation"


def test_a_published_folder_is_evaluated_by_its_policy_beside_what_is_published(run, tmp_path):
    export_policy(run, tmp_path / "policy.safetensors")
    (tmp_path / "evaluation.json").write_text("published")
    config = EvaluationConfig(episodes=2, seed=6)
    path, result = evaluate_and_save(tmp_path, config)
    assert path.parent == tmp_path / "evaluation"
    assert result["episodes"] == evaluate_and_save(run, config)[1]["episodes"]
    assert (tmp_path / "evaluation.json").read_text() == "published"


def test_a_policy_trained_by_a_gpu_kernel_computes_with_what_fits_here(run, tmp_path, monkeypatch):
    payload = load_newest(run / "checkpoints")
    payload["config"]["core"]["kernel"] = "triton"
    save_checkpoint(tmp_path / "gpu.safetensors", payload)
    built = []

    def record(*args):
        built.append(args[4].kernel)
        return Policy(*args)

    monkeypatch.setattr("models.load.Policy", record)
    assert load_policy(tmp_path / "gpu.safetensors").config.core.kernel == "triton"
    assert set(built) == {"auto"}


@pytest.mark.parametrize("name", ["config", "spec", "policy", "progress"])
def test_a_file_that_lacks_a_part_is_no_policy(run, tmp_path, name):
    payload = load_newest(run / "checkpoints")
    del payload[name]
    save_checkpoint(tmp_path / "part.safetensors", payload)
    with pytest.raises(ValueError, match=f"holds no policy: it has no {name}"):
        load_policy(tmp_path / "part.safetensors")


def test_a_policy_of_another_action_set_is_refused(run):
    saved = load_policy(run)
    other = dataclasses.replace(saved, config=dataclasses.replace(saved.config, game="key_value"))
    with pytest.raises(ValueError, match=r"the policy has \d+ actions, key_value here has 8"):
        play(other, EvaluationConfig(), 4)


def test_a_folder_that_takes_no_result_is_named_before_anything_is_played(tmp_path):
    export_policy_to = tmp_path / "policy.safetensors"
    export_policy_to.write_text("not read: the folder comes first")
    (tmp_path / "evaluation").write_text("in the way")
    with pytest.raises(ValueError, match=r"no result can be written: .*; choose a folder by --out"):
        evaluate_and_save(export_policy_to, EvaluationConfig(episodes=1))


def test_a_result_is_printed_where_the_disk_fails_and_goes_where_out_says(
    run, tmp_path, monkeypatch, capsys
):
    how = ["evaluate", str(run), "--episodes", "2", "--out", str(tmp_path / "other")]
    assert main(how) == 0
    assert len(list((tmp_path / "other").glob("*-sampled-2-0.json"))) == 1

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr("experiment.result_folder.write_json", fail)
    assert main(how) == 2
    said = capsys.readouterr()
    assert "mean return" in said.out.partition("written to")[2]
    assert said.err == "error: no space left\n"


class Corridor(gymnasium.Env):
    """A game of as many steps as its first draw says; it counts how often it was asked."""

    observation_space = gymnasium.spaces.Box(0, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    asked: ClassVar[list[int]] = []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = int(self.np_random.integers(2, 40))
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.asked.append(id(self))
        self.left -= 1
        seen = np.array([self.left % 2, 1], np.float32)
        return seen, float(action), self.left == 0, False, {}


@pytest.fixture(scope="module")
def corridor(tmp_path_factory):
    config = TrainConfig(
        core=CoreConfig(kind="rdn", hidden_size=16, num_heads=2, num_layers=2),
        learner=LearnerConfig(unroll_length=8, batch_size=4),
        total_frames=64,
        run_dir=str(tmp_path_factory.mktemp("runs") / "run"),
    )
    return load_policy(train(config, env=Corridor))


def test_games_other_than_the_policy_s_are_closed(corridor, monkeypatch):
    closed = []
    monkeypatch.setattr(Corridor, "close", lambda env: closed.append(env))
    other = dataclasses.replace(corridor, spec=dataclasses.replace(corridor.spec, num_actions=3))
    with pytest.raises(ValueError, match=r"the policy has 3 actions, .* here has 2"):
        make_env_of(other, 2, 0, "gymnasium")
    assert len(set(map(id, closed))) == 2


def test_a_game_that_ended_is_stepped_no_more(corridor):
    Corridor.asked.clear()
    games = play(corridor, EvaluationConfig(), 12)
    assert len(set(games.steps)) > 3
    assert len(Corridor.asked) == games.steps.sum()


def test_games_that_ended_change_nothing_of_those_that_go_on(corridor, monkeypatch):
    short = play(corridor, EvaluationConfig(), 12)
    monkeypatch.setattr(Player, "leave_out", lambda *_: None)
    monkeypatch.setattr(GuestRows, "leave_out", lambda *_: None)
    whole = play(corridor, EvaluationConfig(), 12)
    np.testing.assert_array_equal(short.returns, whole.returns)
    np.testing.assert_array_equal(short.steps, whole.steps)


def test_an_atari_game_that_ended_is_stepped_no_more():
    env = make_env("Pong", EnvConfig(num_threads=1), 2, seed=0, backend="gymnasium")
    first = env.recv()

    def frames():
        return [game.unwrapped.ale.getEpisodeFrameNumber() for game in env._envs]

    begun = frames()
    env.leave_out(np.array([True, False]))
    for _ in range(3):
        env.send(np.zeros(2, np.int64))
    step = env.recv()
    assert step.game_over.tolist() == [True, False]
    assert not step.valid[0]
    assert frames() == [begun[0], begun[1] + 12]  # 3 steps of 4 frames
    assert step.observation.shape == first.observation.shape
    env.close()


def test_games_are_cut_and_the_result_says_so(corridor):
    result = evaluate(corridor, EvaluationConfig(episodes=12, max_steps=10))
    whole = evaluate(corridor, EvaluationConfig(episodes=12))
    assert whole["cut_games"] == 0
    longer = sum(steps > 10 for steps in whole["episodes"]["steps"])
    assert 0 < longer < 12
    assert result["cut_games"] == longer
    assert result["episodes"]["steps"] == [min(10, s) for s in whole["episodes"]["steps"]]
    assert f"cut               {longer} of 12 games at 10 steps" in summary(result)
    assert "cut " not in summary(whole)
    assert result_name("tmaze", 7, EvaluationConfig(max_steps=10)).endswith("-max_steps10.json")


def test_the_chance_and_the_ceiling_stand_beside_the_score(run):
    _, result = evaluate_and_save(run, EvaluationConfig(episodes=4))
    assert "(standard error)  chance 0.5, perfect 1\n" in summary(result)
    of_atari = {"scale": {"random": -20.7, "human": 16256.9, "record": 12345.0}}
    assert "random -20.7, human 16256.9, record 12345\n" in summary(result | of_atari)
    assert summary(result | {"seconds": 2.0}).endswith("10 steps/s: 20 steps in 0:00:02")


def games_after(steps, playing):
    games = FirstGames(len(steps))
    games.steps, games.playing = np.array(steps), np.array(playing)
    games.returns += 1.5
    return games


def test_an_evaluation_says_what_it_plays_and_how_far_it_is(capsys, monkeypatch):
    monkeypatch.setattr("experiment.live.PLAIN_INTERVAL_SECONDS", 0.0)
    with EvaluationDisplay("Pong-v5 with rdn", 3, 27_000) as shown:
        shown.tell(games_after([100, 100, 100], [True] * 3))
        shown.tell(games_after([120, 100, 120], [True, False, True]))
        shown.tell(games_after([150, 100, 140], [True, False, False]))
    first, none, one, two = capsys.readouterr().out.splitlines()
    assert first == "playing 3 games of Pong-v5 with rdn, at most 27,000 steps each"
    assert none.startswith("0 of 3 games done  step 100  return so far 1.50  0:00:00 elapsed")
    assert "  at most 0:00:0" in none
    assert one.startswith("1 of 3 games done  step 120")
    assert two.startswith("2 of 3 games done  step 150")
    assert "  about 0:00:00 left  " in two


def test_json_is_all_that_standard_output_holds(run, tmp_path, capsys):
    out = ["--out", str(tmp_path)]
    assert main(["evaluate", str(run), "--episodes", "2", "--json", "--num_threads=1", *out]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["provenance"]["torch_threads"] == 1
    assert said.err.startswith("playing 2 games of tmaze with delta_net, at most 5 steps each\n")
