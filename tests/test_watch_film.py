"""Films of saved policies: the file opens with the right frames, and every mistake is named."""

from contextlib import nullcontext

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from agents.evaluation.evaluate import EvaluationConfig
from agents.evaluation.evaluate import play as evaluate_play
from agents.evaluation.saved_policy import SavedPolicy, load_policy
from agents.impala.config import LearnerConfig, TrainConfig
from agents.impala.resolve import make_policy
from agents.runs import train
from envs import EnvConfig, make_env
from models.cores import CORES, CoreConfig
from models.encoders import EncoderConfig
from models.policy import NO_ACTION, PolicyConfig
from watch.config import WatchConfig
from watch.dashboard import HEIGHT, WIDTH
from watch.film import make_scene, play, watch
from watch.video import video_writer

LENGTH = 3
STEPS = LENGTH + 2  # a cue, a corridor, a junction and the row after the end


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for kind in CORES:
        config = TrainConfig(
            game="tmaze",
            env=EnvConfig(length=LENGTH),
            core=CoreConfig(
                kind=kind,
                kernel="reference",
                hidden_size=16,
                num_heads=2,
                num_layers=1,
            ),
            encoder=EncoderConfig(kind="mlp"),
            policy=PolicyConfig(last_action=True),
            learner=LearnerConfig(unroll_length=8, batch_size=4),
            total_frames=32,
            run_dir=str(folder / kind),
        )
        train(config)
    return folder


def frames_in(path):
    reader = imageio_ffmpeg.read_frames(str(path))
    size = next(reader)["size"]
    return size, [np.frombuffer(f, np.uint8).reshape(size[1], size[0], 3) for f in reader]


@pytest.mark.parametrize(("kind", "suffix"), [*((kind, ".mp4") for kind in CORES), ("rdn", ".gif")])
def test_a_film_has_a_frame_per_row(runs, tmp_path, kind, suffix):
    config = WatchConfig(episodes=2, out=tmp_path / f"film{suffix}", frames=tmp_path / "frames")
    assert watch(runs / kind, config) == config.out
    size, frames = frames_in(config.out)
    assert size == (WIDTH, HEIGHT)
    pictures = [np.asarray(Image.open(p)) for p in sorted(config.frames.iterdir())]
    assert len(pictures) == len(frames) == 2 * STEPS
    errors = [np.abs(f.astype(int) - p).mean() for f, p in zip(frames, pictures, strict=True)]
    assert all(error < 3 for error in errors), errors  # of 255: the film is those pictures
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"film{suffix}", "frames"]


def test_the_games_are_those_that_evaluation_plays(runs):
    saved = load_policy(runs / "rdn")
    returns = {}
    for seed in range(8):
        config = WatchConfig(episodes=1, seed=seed)
        moments = list(play(saved, make_scene(saved, seed), config))
        assert [m.start for m in moments] == [True] + [False] * (STEPS - 1)
        assert [m.action is None for m in moments] == [False] * (STEPS - 1) + [True]
        returns[seed] = sum(m.reward for m in moments)
        evaluated = evaluate_play(saved, EvaluationConfig(seed=seed), 1).returns
        assert returns[seed] == evaluated[0]
    assert set(returns.values()) == {0.0, 1.0}


def test_the_policy_that_plays_sees_its_last_action_and_none_at_a_start(runs):
    saved, seen = load_policy(runs / "lstm"), []
    saved.policy.register_forward_pre_hook(lambda _, args: seen.append(int(args[2])))
    scene = make_scene(saved, 0)
    scene.picture = lambda step, action, ask: np.zeros((1, 1, 3), np.uint8)
    actions = [m.action for m in play(saved, scene, WatchConfig(episodes=3))]
    expected = [NO_ACTION, *actions[:-1]]
    expected[STEPS::STEPS] = [NO_ACTION] * 2
    assert seen == expected
    assert {0, 1} <= set(seen)


def test_an_atari_film_shows_the_emulator_s_own_screen():
    config = TrainConfig(
        game="Pong",
        encoder=EncoderConfig(kind="small"),
        core=CoreConfig(kind="rdn", kernel="reference"),
    )
    spec = make_env("Pong", config.env, 1, 0, "gymnasium").spec
    saved = SavedPolicy(make_policy(config, spec), config, spec, updates=0, frames=0)
    scene = make_scene(saved, seed=0)
    assert scene.fps == 15
    assert scene.action_names == ["NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE"]
    shown = []
    for moment in play(saved, scene, WatchConfig(max_steps=3)):
        screen = scene.env.screen(0)
        np.testing.assert_array_equal(moment.picture, screen)
        assert screen.shape == (210, 160, 3)
        assert [row.weights.shape for row in moment.memory] == [(4, 32, 32)] * 2
        shown.append(screen)
    assert (shown[0] != shown[2]).any()
    assert (shown[0].max(-1) != shown[0].min(-1)).any()  # in colour


def test_a_minigrid_film_shows_the_cells_in_view_until_the_game_ends():
    config = TrainConfig(
        game="MiniGrid-MemoryS7-v0",
        encoder=EncoderConfig(kind="symbols"),
        core=CoreConfig(kind="rdn", kernel="reference"),
    )
    spec = make_env(config.game, config.env, 1, 0).spec
    saved = SavedPolicy(make_policy(config, spec), config, spec, updates=0, frames=0)
    scene = make_scene(saved, seed=0)
    assert len(scene.action_names) == spec.num_actions
    moments = list(play(saved, scene, WatchConfig(episodes=1)))
    assert [m.start for m in moments] == [True] + [False] * (len(moments) - 1)
    assert [m.action is None for m in moments] == [False] * (len(moments) - 1) + [True]
    assert len({m.picture.tobytes() for m in moments}) > 5
    assert sum(m.reward for m in moments) == evaluate_play(saved, EvaluationConfig(), 1).returns[0]


def test_a_film_that_another_one_overtook_does_not_replace_it(tmp_path):
    path, frame = tmp_path / "film.mp4", np.zeros((16, 16, 3), np.uint8)

    def film():
        with video_writer(path, (16, 16), 1.0) as write:
            write(frame)
            path.write_text("first")

    with pytest.raises(ValueError, match=r"film.mp4 exists already"):
        film()
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_film_without_a_place_that_another_one_overtook_takes_the_next_name(runs, monkeypatch):
    run = runs / "lstm"
    name = f"{load_policy(run).updates:012d}-sampled-5"
    taken = run / "videos" / f"{name}.mp4"

    def draw(*_):
        taken.write_text("first")
        return np.zeros((HEIGHT, WIDTH, 3), np.uint8)

    monkeypatch.setattr("watch.dashboard.Dashboard.draw", draw)
    path = watch(run, WatchConfig(seed=5, max_steps=1))
    assert path == run / "videos" / f"{name}-2.mp4"
    assert taken.read_text() == "first"
    assert sorted(taken.parent.iterdir()) == [path, taken]
    assert len(frames_in(path)[1]) == 1


def test_max_steps_ends_a_film(runs):
    saved = load_policy(runs / "lstm")
    assert len(list(play(saved, make_scene(saved, 0), WatchConfig(max_steps=7)))) == 7


def test_a_question_out_of_turn_is_answered_as_the_policy_would_and_changes_nothing(runs):
    """At the junction the question is what comes next anyway."""
    saved = load_policy(runs / "delta_rnn")
    asked = np.eye(4, dtype=np.float32)[3]
    plain = [m.probabilities for m in play(saved, make_scene(saved, 0), WatchConfig(episodes=1))]
    scene, told = make_scene(saved, 0), []
    draw = scene.picture

    def picture(step, action, ask):
        told.append(ask(np.stack([asked, asked])))
        return draw(step, action, ask)

    scene.picture = picture
    again = [m.probabilities for m in play(saved, scene, WatchConfig(episodes=1))]
    np.testing.assert_array_equal(plain, again)
    np.testing.assert_allclose(told[LENGTH - 1], [plain[LENGTH]] * 2, rtol=1e-5)


def test_a_film_without_a_place_goes_beside_the_run_and_never_over_another(runs):
    config = WatchConfig(max_steps=1)
    (checkpoint,) = (runs / "feedforward/checkpoints").glob("*.safetensors")
    paths = [watch(source, config) for source in (runs / "feedforward", checkpoint)]
    assert [p.parent for p in paths] == [runs / "feedforward/videos"] * 2
    assert paths[0] != paths[1]
    assert all(p.stat().st_size > 0 for p in paths)


def test_a_film_that_fails_leaves_nothing(runs, tmp_path, monkeypatch):
    def fail(*_):
        raise ValueError("no more film")

    monkeypatch.setattr("watch.dashboard.Dashboard.draw", fail)
    with pytest.raises(ValueError, match="no more film"):
        watch(runs / "rdn", WatchConfig(out=tmp_path / "film.mp4"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_cut", [False, True])
def test_the_games_are_closed_however_a_film_ends(runs, tmp_path, monkeypatch, is_cut):
    def interrupt(*_):
        raise KeyboardInterrupt

    closed = []
    monkeypatch.setattr("envs.memory.env.MemoryEnv.close", lambda env: closed.append(env))
    if is_cut:
        monkeypatch.setattr("watch.display.FilmDisplay.tell", interrupt)
    with pytest.raises(KeyboardInterrupt) if is_cut else nullcontext():
        watch(runs / "rdn", WatchConfig(max_steps=1, out=tmp_path / "film.mp4"))
    assert len(closed) == 1


@pytest.mark.parametrize("name", ["observation", "reward", "probabilities", "value"])
def test_a_number_that_is_not_finite_ends_a_film_in_a_line_that_names_it(runs, name):
    saved = load_policy(runs / "lstm")
    scene, bad = make_scene(saved, 0), np.float32(np.nan)
    recv = scene.env.recv
    if name in ("observation", "reward"):
        scene.env.recv = lambda: recv()._replace(**{name: getattr(recv(), name) * bad})
    else:
        head = {"probabilities": saved.policy.policy_head, "value": saved.policy.value_head}[name]
        head.bias.data.fill_(bad)
    with pytest.raises(ValueError, match=rf"^game 1   step 0 .*: {name} is nan, which no film can"):
        next(play(saved, scene, WatchConfig()))


@pytest.mark.parametrize(
    ("score", "words"), [(0.125, "0.125"), (-20.7, "-20.7"), (12345.0, "12345"), (1e6, "1000000")]
)
def test_a_caption_says_the_whole_return(runs, score, words):
    saved = load_policy(runs / "lstm")
    scene = make_scene(saved, 0)
    step = scene.env.recv()._replace(reward=np.array([score], np.float32))
    scene.env.recv = lambda: step
    moment = next(play(saved, scene, WatchConfig()))
    assert moment.caption.endswith(f"return {words}")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"out": "taken.mp4"}, "taken.mp4 exists already"),
        ({"out": "film.avi"}, "out must end in .mp4 or .gif, got .*film.avi"),
        ({"out": "absent/film.mp4"}, "there is no folder .*absent"),
        ({"frames": "full"}, "frames must be a new or empty folder, got .*full"),
        ({"frames": "taken.mp4"}, "frames must be a new or empty folder"),
    ],
)
def test_a_place_that_is_taken_or_none_is_refused(runs, tmp_path, settings, message):
    (tmp_path / "taken.mp4").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/000000.png").write_text("mine")
    places = {"out": tmp_path / "film.mp4"} | {n: tmp_path / s for n, s in settings.items()}
    with pytest.raises(ValueError, match=message):
        watch(runs / "rdn", WatchConfig(**places))
    assert (tmp_path / "taken.mp4").read_text() == "mine"
    assert (tmp_path / "full/000000.png").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full", "taken.mp4"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"episodes": 0}, "episodes must be >= 1, got 0"),
        ({"max_steps": 0}, "max_steps must be >= 1, got 0"),
        ({"fps": 0.0}, r"fps must be in \(0, 240\], got 0.0"),
        ({"fps": float("nan")}, r"fps must be in \(0, 240\], got nan"),
        ({"seed": -1}, "seed must be >= 0, got -1"),
    ],
)
def test_impossible_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        WatchConfig(**settings)


def test_a_game_without_a_picture_is_refused(tmp_path):
    config = TrainConfig(
        game="probe",
        core=CoreConfig(kind="feedforward"),
        encoder=EncoderConfig(kind="mlp"),
        learner=LearnerConfig(unroll_length=4, batch_size=2),
        total_frames=8,
        run_dir=str(tmp_path / "run"),
    )
    with pytest.raises(
        ValueError, match="there is no picture of probe: watch shows memory tasks, MiniGrid, Atari"
    ):
        watch(train(config), WatchConfig())
    assert not (tmp_path / "run/videos").exists()
