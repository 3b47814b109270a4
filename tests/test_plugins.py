"""A user's own code: imported where the command line names it, and nowhere else."""

import json
import subprocess
import sys
from functools import partial
from hashlib import sha256
from pathlib import Path

import gymnasium
import pytest
import yaml
from gymnasium.envs.classic_control import CartPoleEnv

from agents.impala.config import config_from_values
from agents.plugins import use, use_named
from agents.runs import train
from envs import EnvConfig, make_env
from experiment import plugins
from experiment.arguments import typed_values
from experiment.checkpoint import numbered
from run_atari import main

ROOT = Path(__file__).parents[1]
MY_ENV = ROOT / "tests/data/my_env.py"
GUEST = f"{MY_ENV}:make"
SMALL = [
    "--core.kind=lstm",
    "--core.hidden_size=8",
    "--learner.unroll_length=4",
    "--learner.batch_size=2",
    "--total_frames=24",
    "--num_threads=1",
]


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch, tmp_path):
    """Runs a test in a folder of its own, and forgets its plugins afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("envs.guest._MAKERS", {})
    plugins.LOADED.clear()
    yield
    plugins.LOADED.clear()


def write(text):
    """Writes a plugin that leaves a line in `imported` each time that it is."""
    count = f"open({str(Path('imported').resolve())!r}, 'a').write('x')\n"
    Path("my.py").write_text(f"import gymnasium\n{count}{text}\n")
    return "my.py:make"


def times_imported():
    return Path("imported").read_text().count("x") if Path("imported").exists() else 0


MAKE = "def make():\n    return gymnasium.make('CartPole-v1', max_episode_steps=9)"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "1 / 0",
            "my.py:make fails when imported: ZeroDivisionError in my.py, line 3: division by zero",
        ),
        ("import nowhere", "make fails when imported: ModuleNotFoundError in my.py, line 3"),
        (
            "import broken_neighbour",
            "ZeroDivisionError in broken_neighbour.py, line 2: division by zero",
        ),
        (
            "def make(",
            "make fails when imported: SyntaxError: '(' was never closed (my.py, line 3)",
        ),
        ("def mke(): ...", "my.py has no 'make'; close: mke"),
        (
            "make = 3",
            "my.py:make must be a function that returns an environment, or a core's class",
        ),
    ],
)
def test_a_plugin_that_cannot_be_used_is_one_line(text, message, capsys):
    Path("broken_neighbour.py").write_text("\n1 / 0\n")
    assert main(["train", "--game", write(text), "--run_dir=run"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.py:make", "none.py:make: there is no file none.py"),
        ("nowhere.at_all:make", "there is no module nowhere.at_all; a file ends in .py"),
        ("gymnasium:CartPole-v9", "gymnasium has no 'CartPole-v9'"),
        ("my.py:", "a plugin is FILE.py:NAME or MODULE:NAME, got 'my.py:'"),
    ],
)
def test_a_plugin_that_is_not_there_is_one_line(name, message, capsys):
    assert main(["train", "--game", name, "--run_dir=run"]) == 2
    assert message in capsys.readouterr().err


def test_gymnasium_makes_what_a_module_registers():
    use("gymnasium:CartPole-v1")
    env = make_env("gymnasium:CartPole-v1", EnvConfig(), 1, 0)
    assert (env.spec.observation_shape, env.spec.num_actions) == ((4,), 2)
    assert env._envs.envs[0].spec.max_episode_steps == 500  # of its registration


@pytest.mark.parametrize(
    "cause",
    ["gymnasium.error.DependencyNotInstalled('no Box2D')", "ModuleNotFoundError('no Box2D')"],
)
def test_an_environment_whose_needs_are_not_installed_is_one_line(cause, monkeypatch, capsys):
    Path("needy.py").write_text(f"import gymnasium\nraise {cause}\n")
    write("gymnasium.register('Needy-v0', 'needy:Needy')")
    monkeypatch.setattr(gymnasium.envs.registration, "registry", {})
    assert main(["train", "--game=my.py:Needy-v0", "--run_dir=run"]) == 2
    assert capsys.readouterr().err == "error: Needy-v0 cannot be made: no Box2D\n"


def test_an_error_in_an_environment_keeps_its_place_in_an_evaluation(monkeypatch):
    assert main(["train", "--game", write(MAKE), *SMALL, "--run_dir=run"]) == 0
    monkeypatch.setattr(CartPoleEnv, "step", lambda *_: int("x"))
    where = r"my.py:make fails in step: ValueError in test_plugins.py, line \d+: invalid literal"
    with pytest.raises(RuntimeError, match=where):
        main(["evaluate", "run", "--plugin=my.py:make"])


def test_a_plugin_may_import_its_neighbours():
    Path("neighbour.py").write_text("steps = 7\n")
    text = "import neighbour\ndef make(): return gymnasium.make('CartPole-v1')"
    use(write(text))


def test_only_what_stands_on_the_command_line_is_named():
    words = [
        "--game",
        "a.py:x",
        "--core.kind=b.py:y",
        "--plugin=c.py:z",
        "--out",
        "d.py:w",
        "--game",
    ]
    assert [*typed_values(words, ("game", "core.kind", "plugin"))] == [
        "a.py:x",
        "b.py:y",
        "c.py:z",
        "",
    ]
    use_named(["--game", "Pong", "--cores", "lstm,rdn"])
    assert plugins.LOADED == {}


def test_a_config_file_does_not_import_what_it_names(capsys):
    Path("c.yaml").write_text(yaml.safe_dump({"game": write(MAKE)}))
    assert main(["train", "--config=c.yaml", *SMALL, "--run_dir=run"]) == 2
    assert "by --plugin my.py:make\n" in capsys.readouterr().err
    assert times_imported() == 0
    assert main(["train", "--config=c.yaml", *SMALL, "--run_dir=run", "--plugin=my.py:make"]) == 0


def test_a_saved_run_imports_only_what_is_named_again(monkeypatch, capsys, caplog):
    assert main(["train", "--game", write(MAKE), *SMALL, "--run_dir=run"]) == 0
    assert yaml.safe_load(Path("run/config.yaml").read_text())["encoder"]["kind"] == "mlp"
    origin = json.loads(Path("run/provenance.json").read_text())
    assert len(origin["plugins"]["my.py:make"]["sha256"]) == 64
    (checkpoint,) = numbered(Path("run/checkpoints"))
    imported = times_imported()

    sys.modules.pop(f"plugin {Path('my.py').resolve()}")
    monkeypatch.setattr("envs.guest._MAKERS", {})
    for command in (
        ["evaluate", "run"],
        ["evaluate", str(checkpoint)],
        ["watch", "run"],
        ["train", "--resume=run"],
    ):
        assert main(command) == 2
        assert capsys.readouterr().err.endswith(
            "name it on the command line too, by --plugin my.py:make\n"
        )
    assert times_imported() == imported

    caplog.clear()
    plugin = ["--plugin", "my.py:make"]
    for command in (
        ["evaluate", "run"],
        ["watch", "run", "--episodes=1", "--max_steps=3", "--out=film.gif"],
        ["train", "--resume=run"],
    ):
        assert main([*command, *plugin]) == 0
    assert times_imported() == imported + 1
    assert "has changed" not in caplog.text

    monkeypatch.setattr("envs.guest._MAKERS", {})
    assert main(["compare", "run", "--out=report"]) == 0
    assert "my.py:make" in Path("report/report.md").read_text()

    with Path("my.py").open("a") as file:
        file.write("# edited\n")
    sys.modules.pop(f"plugin {Path('my.py').resolve()}")
    for command in (["evaluate", "run", "--episodes=2"], ["train", "--resume=run"]):
        caplog.clear()
        assert main([*command, *plugin]) == 0
        assert "my.py:make has changed since the run was begun" in caplog.text


def test_the_page_shows_the_example_as_it_is():
    assert f"```python\n{MY_ENV.read_text()}```" in (ROOT / "docs/environments.md").read_text()


def check(*arguments, cwd):
    done = subprocess.run(
        [sys.executable, ROOT / "run_atari.py", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "game", [GUEST, "popgym:popgym-RepeatPreviousEasy-v0", "MiniGrid-MemoryS13-v0"]
)
def test_a_guest_is_trained_evaluated_filmed_and_compared_with_no_edit(game, tmp_path):
    """A sweep trains and evaluates; a film and a report come from its run."""
    Path("c.yaml").write_text("policy: {last_action: true}\n")
    sizes = [word.removeprefix("--") for word in SMALL if "core.kind" not in word]
    matrix = ["--games", game, "--cores=rdn", "--seeds=1"]
    check("sweep", "--config=c.yaml", *matrix, "--out=out", "--set", *sizes, cwd=tmp_path)
    runs = sorted(path.parent for path in tmp_path.glob("out/*/*/seed1/config.yaml"))
    assert [run.parent.name for run in runs] == ["rdn"]
    plugin = ["--plugin", game] if ":" in game else []
    check("watch", runs[0], *plugin, "--max_steps=20", "--out=film.gif", cwd=tmp_path)
    assert (tmp_path / "film.gif").stat().st_size > 10_000
    said = check("compare", "out", "--out=report", cwd=tmp_path)
    assert "Only rdn was scored" in said
    assert f"rdn on {game}" in (tmp_path / "report/report.md").read_text()


VALUES = {
    "env": {},
    "core": {"kind": "lstm", "hidden_size": 8},
    "encoder": {"kind": "mlp"},
    "learner": {"unroll_length": 4, "batch_size": 2},
    "total_frames": 16,
}


def test_training_takes_a_function_of_this_process():
    module, _ = plugins.load(GUEST)
    plugins.LOADED.clear()
    run = train(config_from_values(VALUES), env=module.make)
    name = f"{module.__name__}:make"
    assert yaml.safe_load((run / "config.yaml").read_text())["game"] == name
    origin = json.loads((run / "provenance.json").read_text())
    assert origin["plugins"] == {name: {"sha256": sha256(MY_ENV.read_bytes()).hexdigest()}}


@pytest.mark.parametrize("env", [lambda: None, partial(int)], ids=["lambda", "partial"])
def test_a_function_without_a_name_of_its_own_is_refused(env):
    with pytest.raises(ValueError, match="at the top of a module"):
        train(config_from_values(VALUES), env=env)
    assert not list(Path().iterdir())
