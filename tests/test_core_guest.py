"""Cores of the user's own: made, tried, stepped, reset and named where they are wrong."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from agents import plugins as named
from agents.evaluation.saved_policy import export_policy, load_policy
from agents.impala.config import LearnerConfig, TrainConfig
from agents.runs import resume, train
from experiment import plugins
from experiment.checkpoint import load_newest
from experiment.session import SessionConfig
from models.cores import CoreConfig, make_core, register, resolved
from run_atari import main

ROOT = Path(__file__).parents[1]
GRU = ROOT / "tests/data/gru.py"
INPUT, SIZE = 5, 3


class Leaky(nn.Module):
    """One of two state tensors decays, the other one counts; both are read.

    Args:
        size: units.
        decay: of a unit, per step.
    """

    def __init__(self, input_size, size: int = SIZE, *, decay: float = 0.5, table=(1, 2)):
        super().__init__()
        self.linear = nn.Linear(input_size, size)
        self.decay, self.output_size, self.state_shapes = decay, size, ((size,), (2, 1))

    def step(self, x, state):
        h, count = state
        h = self.decay * h + self.linear(x)
        return h * (1 + count.sum((1, 2)).unsqueeze(-1)), (h, count + 1)


class WholeUnroll(Leaky):
    def forward(self, x, state, start):
        outputs = []
        for x_t, start_t in zip(x, start, strict=True):
            state = tuple(s * ~start_t.view(-1, *[1] * (s.ndim - 1)) for s in state)
            y, state = self.step(x_t, state)
            outputs.append(y)
        return torch.stack(outputs), state


class Memoryless(nn.Module):
    output_size, state_shapes = INPUT, ()

    def __init__(self, input_size):
        super().__init__()
        self.scale = nn.Parameter(torch.full((input_size,), 2.0))

    def step(self, x, state):
        return self.scale * x, state


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("models.cores.guest._CLASSES", {})
    plugins.LOADED.clear()
    yield
    plugins.LOADED.clear()


def made(cell, bptt="full", **args):
    register("my.py:Core", cell)
    torch.manual_seed(0)
    return make_core(CoreConfig(kind="my.py:Core", bptt=bptt, args=args), INPUT).double()


def unroll(core, T=5, B=2):
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(T, B, INPUT, generator=rng, dtype=torch.float64, requires_grad=True)
    state = tuple(
        torch.randn(B, *shape, generator=rng, dtype=torch.float64, requires_grad=True)
        for shape in core.state_shapes
    )
    start = torch.zeros(T, B, dtype=torch.bool)
    start[2, 1] = True
    return x, state, start


def test_a_step_is_stepped_over_the_unroll_with_resets():
    core = made(Leaky, decay=0.25)
    x, state, start = unroll(core)
    y, last = core(x, state, start)
    weight, bias = core.cell.linear.weight, core.cell.linear.bias
    for b in range(2):
        h, count = state[0][b], state[1][b].sum()
        for t in range(len(x)):
            if start[t, b]:
                h, count = torch.zeros(SIZE, dtype=torch.float64), torch.zeros(()).double()
            h = 0.25 * h + weight @ x[t, b] + bias
            torch.testing.assert_close(y[t, b], h * (1 + count))
            count = count + 2
        torch.testing.assert_close(last[0][b], h)
        torch.testing.assert_close(last[1][b].sum(), count)


@pytest.mark.parametrize("bptt", ["full", 1])
def test_gradient_goes_back_as_far_as_bptt_and_starts_let_it(bptt):
    core = made(Leaky, bptt)
    x, state, start = unroll(core)
    y, _ = core(x, state, start)
    grad_x, grad_h = torch.autograd.grad(y[4].sum(), (x, state[0]), allow_unused=True)
    reached = grad_x.abs().sum(-1) > 0
    if bptt == 1:
        assert grad_h is None
        assert reached.tolist() == [[False] * 2] * 4 + [[True] * 2]
    else:
        assert reached.tolist() == [[True, False]] * 2 + [[True, True]] * 3
        assert (grad_h.abs().sum(-1) > 0).tolist() == [True, False]


def test_a_start_wipes_what_is_not_a_number():
    core = made(Leaky)
    x, (h, count), start = unroll(core)
    broken = torch.where(torch.tensor([[False], [True]]), torch.nan, h)
    y, _ = core(x, (broken, count), start)
    assert not y[2:].isnan().any()
    assert y[:2, 1].isnan().all()


def test_a_whole_forward_is_called_as_it_is():
    whole, stepped = made(WholeUnroll), made(Leaky)
    x, state, start = unroll(whole)
    for got, want in zip(whole(x, state, start)[1], stepped(x, state, start)[1], strict=True):
        torch.testing.assert_close(got, want)
    assert "cell.linear.weight" in stepped.state_dict()
    with pytest.raises(ValueError, match="has a forward of its own, so that core"):
        made(WholeUnroll, 1)


def test_args_are_those_of_the_signature_that_are_plain_values():
    register("my.py:Core", Leaky)
    assert resolved(CoreConfig(kind="my.py:Core", args={"decay": 1})).args == {
        "size": SIZE,
        "decay": 1.0,
    }
    with pytest.raises(ValueError, match=r"no core.args.decays: .*; close: core.args.decay$"):
        resolved(CoreConfig(kind="my.py:Core", args={"decays": 1}))
    with pytest.raises(ValueError, match=r"core.args.size must be int, got 'big'"):
        resolved(CoreConfig(kind="my.py:Core", args={"size": "big"}))


def test_without_its_class_a_guest_s_settings_are_read_and_it_is_not_made():
    config = CoreConfig(kind="my.py:Core", args={"anything": 1})
    assert resolved(config) == config
    with pytest.raises(ValueError, match=r"is code from outside, .* --plugin my\.py:Core"):
        make_core(config, INPUT)


def test_a_core_may_have_no_state():
    core = made(Memoryless)
    x = torch.randn(4, 2, INPUT, dtype=torch.float64)
    y, state = core(x, core.initial_state(2), torch.zeros(4, 2, dtype=torch.bool))
    assert torch.equal(y, 2 * x)
    assert state == ()


HEAD = "import torch\nfrom torch import nn\nclass Core(nn.Module):\n"
INIT = "    output_size, state_shapes = 4, ((4,),)\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "1 / 0",
            "my.py:Core fails when imported: ZeroDivisionError in my.py, line 1: division by zero",
        ),
        ("class Coree: ...", "my.py has no 'Core'; close: Coree"),
        ("class Core: ...", "my.py:Core is no core: it must be a class of torch.nn.Module"),
        (HEAD + INIT, "has neither step(x, state) nor forward(x, state, start)"),
        (
            HEAD + "    def step(self, x, state): ...",
            "my.py:Core cannot be made: TypeError in module.py line",
        ),
        (
            HEAD + "    def __init__(self, n): super().__init__()\n    def step(self, x, s): ...",
            "my.py:Core needs output_size, features of an output row, got None",
        ),
        (
            HEAD + "    output_size, state_shapes = 4, (4,)\n    def __init__(self, n): "
            "super().__init__()\n    def step(self, x, s): ...",
            "my.py:Core needs state_shapes, a tuple of the shape of each state tensor without the "
            "batch, such as ((64,),), got (4,)",
        ),
    ],
)
def test_what_is_no_core_is_one_line(text, message, capsys):
    Path("my.py").write_text(text + "\n")
    assert main(["train", "--game=tmaze", "--core.kind=my.py:Core", "--run_dir=run"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("h", "must return y and state of shapes ([3, 3], ([3, 3], [3, 2, 1])), got [3, 3]"),
        ("h[:, :2], state", "got ([3, 2], ([3, 3], [3, 2, 1]))"),
        ("h, h", "got ([3, 3], [3, 3])"),
        ("h, (h, h)", "got ([3, 3], ([3, 3], [3, 3]))"),
        ("h, (h.double(), count)", "got ([3, 3], ([3, 3] torch.float64, [3, 2, 1]))"),
        ("h, None", "got ([3, 3], NoneType)"),
        (
            "x @ h, state",
            "fails: RuntimeError in <string> line 1: mat1 and mat2 shapes cannot be multiplied",
        ),
    ],
)
def test_what_a_step_returns_is_checked_when_the_core_is_made(returned, message):
    class Wrong(Leaky):
        def step(self, x, state):
            return eval(returned, {"x": x, "state": state, "h": state[0], "count": state[1]})

    with pytest.raises(ValueError, match="step of x") as raised:
        made(Wrong)
    assert "step of x [3, 5] and state ([3, 3], [3, 2, 1])" in str(raised.value)
    assert message in str(raised.value)


def test_trying_a_core_changes_neither_it_nor_the_random_numbers():
    class Noisy(Leaky):
        def step(self, x, state):
            self.modes = [*getattr(self, "modes", []), self.training]
            return super().step(nn.functional.dropout(x), state)

    torch.manual_seed(0)
    nn.Linear(INPUT, SIZE)
    want = torch.rand(3)
    core = made(Noisy)
    assert torch.equal(torch.rand(3), want)
    assert core.cell.modes == [False]
    assert core.cell.training


def test_a_core_that_is_named_is_imported():
    name = f"{GRU}:GRU"
    named.use_named(["--cores", f"lstm,{name}-bptt1"])
    core = make_core(CoreConfig(kind=name, args={"hidden_size": 7}), INPUT)
    assert core.state_shapes == ((7,),)
    assert list(plugins.LOADED) == [name]


SMALL = [
    "--env.length=4",
    "--encoder.kind=mlp",
    "--core.args.hidden_size=8",
    "--learner.unroll_length=4",
    "--learner.batch_size=2",
    "--total_frames=24",
    "--num_threads=1",
]


def test_a_saved_core_is_imported_only_where_it_is_named_again(monkeypatch, capsys):
    """It trains, is evaluated, resumed and filmed; nothing else than its name brings it in."""
    name = f"{GRU}:GRU"
    assert main(["train", "--game=tmaze", "--core.kind", name, *SMALL, "--run_dir=run"]) == 0
    following = capsys.readouterr().out.splitlines()[-1]
    assert following == f"next: python run_atari.py evaluate run --plugin {name}"
    config = yaml.safe_load(Path("run/config.yaml").read_text())
    assert (config["core"]["kind"], config["core"]["args"]) == (name, {"hidden_size": 8})
    origin = json.loads(Path("run/provenance.json").read_text())["plugins"]
    assert origin == {name: {"sha256": hashlib.sha256(GRU.read_bytes()).hexdigest()}}

    monkeypatch.setattr("models.cores.guest._CLASSES", {})
    for command in (["evaluate", "run"], ["watch", "run"], ["train", "--resume=run"]):
        assert main(command) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"error: {name} is code from outside")
        assert error.endswith(f"name it on the command line too, by --plugin {name}\n")

    plugin = ["--plugin", name]
    assert main(["evaluate", "run", *plugin]) == 0
    assert main(["train", "--resume=run", *plugin]) == 0
    assert main(["watch", "run", "--episodes=1", "--frames=frames", "--out=a.gif", *plugin]) == 0
    monkeypatch.setattr("models.cores.guest._CLASSES", {})
    assert main(["compare", "run", "--out=report"]) == 0
    assert name in Path("report/report.md").read_text()


class Frozen(Leaky):
    """Leaky with weights that are never learned, others that nothing uses, and a mask."""

    def __init__(self, input_size):
        super().__init__(input_size)
        self.linear.requires_grad_(False)
        self.unused = nn.Parameter(torch.ones(2))
        self.gain = nn.Parameter(torch.ones(SIZE))
        self.register_buffer("mask", torch.tensor([True, True, False]))

    def step(self, x, state):
        y, state = super().step(x, state)
        return y * self.gain * self.mask, state


def test_a_core_may_have_frozen_and_unused_weights_and_a_mask(tmp_path):
    """Its run is stopped, goes on, and its policy is exported and loaded."""
    learner = LearnerConfig(unroll_length=4, batch_size=2, optimizer="adam")
    config = TrainConfig(game="tmaze", learner=learner, total_frames=24, run_dir="run")
    run = train(config, SessionConfig(stop_after_updates=1), core=Frozen)
    after_one = load_newest(run / "checkpoints")
    assert after_one["progress"]["updates"] == 1
    resume(run)
    export_policy(run, tmp_path / "policy.safetensors")
    loaded = load_policy(tmp_path / "policy.safetensors").policy.state_dict()
    assert loaded["core.cell.mask"].tolist() == [True, True, False]
    assert loaded["core.cell.unused"].eq(1).all()
    assert not loaded["core.cell.gain"].eq(1).all()
    frozen = after_one["policy"]["core.cell.linear.weight"]
    assert torch.equal(
        load_newest(run / "checkpoints")["policy"]["core.cell.linear.weight"], frozen
    )


@pytest.mark.slow
def test_a_gru_in_one_file_is_swept_and_compared_beside_lstm():
    Path("c.yaml").write_text("{game: tmaze, env: {length: 4}, encoder: {kind: mlp}}")
    Path("my_core.py").write_bytes(GRU.read_bytes())
    small = ["learner.batch_size=2", "learner.unroll_length=4", "total_frames=24", "num_threads=1"]
    matrix = ["--cores=lstm,my_core.py:GRU,my_core.py:GRU-bptt1", "--seeds=1", "--out=out"]
    command = ["sweep", "--config=c.yaml", *matrix, "--set", *small]
    done = subprocess.run([sys.executable, ROOT / "run_atari.py", *command], check=False)
    assert done.returncode == 0
    assert main(["compare", "out", "--out=report"]) == 0
    report = Path("report/report.md").read_text()
    for name in ("lstm", "my_core.py:GRU", "my_core.py:GRU-bptt1"):
        assert f"| {name} |" in report
