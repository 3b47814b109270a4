"""`check`: right cores pass, and each fault planted in a copy of one is found by its check."""

import pytest
import torch
from torch import nn

from models.cores import CORES, CoreConfig, register
from models.cores.checks import check
from run_atari import main

INPUT = 7
WIPE = "a start wipes the state"
IN_TIME = "it does so before the row is consumed"
ZERO = "a start is as a new core"
GRADIENT = "no gradient crosses a start"
APART = "environments do not mix"
FULL = "bptt full: gradient reaches the first row"
STEPS = "steps give what the sequence gives"
KEPT = "state and input are not changed in place"
EVALUATION = "evaluation computes what training does"
BITS = "the same call gives the same bits"
CUT = "bptt 1: gradient stays in its row"


class Memory(nn.Module):
    """A right core, in pieces that a fault can replace."""

    def __init__(self, input_size):
        super().__init__()
        self.cell = nn.GRUCell(input_size, 6)
        self.output_size, self.state_shapes = 6, ((6,),)

    def wiped(self, h, start):
        return torch.where(start.unsqueeze(-1), torch.zeros_like(h), h)

    def one(self, x, h):
        return self.cell(x, h)

    def forward(self, x, state, start):
        (h,), outputs = state, []
        for x_t, start_t in zip(x, start, strict=True):
            h = self.one(x_t, self.wiped(h, start_t))
            outputs.append(h)
        return torch.stack(outputs), (h,)


class Leaks(Memory):
    def wiped(self, h, start):
        return h


class ResetsLate(Memory):
    def forward(self, x, state, start):
        (h,), outputs = state, []
        for x_t, start_t in zip(x, start, strict=True):
            y = self.one(x_t, h)
            h = self.wiped(y, start_t)
            outputs.append(y)
        return torch.stack(outputs), (h,)


class ResetsEarly(Memory):
    def forward(self, x, state, start):
        return super().forward(x, state, start | torch.cat([start[1:], start[:1] & False]))


class BeginsAtOne(Memory):
    def wiped(self, h, start):
        return torch.where(start.unsqueeze(-1), torch.ones_like(h), h)


class GradientCrosses(Memory):
    def wiped(self, h, start):
        return h - (h * start.unsqueeze(-1)).detach()


class Mixes(Memory):
    def one(self, x, h):
        return self.cell(x - x.mean(0), h)


class Detaches(Memory):
    def one(self, x, h):
        return self.cell(x, h.detach())


class DiffersByLength(Memory):
    def forward(self, x, state, start):
        y, state = super().forward(x, state, start)
        return y + 0.01 * torch.arange(len(x)).view(-1, 1, 1), state


class WritesInPlace(Memory):
    def forward(self, x, state, start):
        y, after = super().forward(x, state, start)
        with torch.no_grad():
            state[0].copy_(after[0])
        return y, after


class DropsOut(Memory):
    def one(self, x, h):
        return self.cell(torch.cat([x[..., :1] * (2 if self.training else 1), x[..., 1:]], -1), h)


class IsRandom(Memory):
    def one(self, x, h):
        return self.cell(x + 0.01 * torch.randn_like(x), h)


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch):
    monkeypatch.setattr("models.cores.guest._CLASSES", {})


def wrong(config):
    return [finding.name for finding in check(config, INPUT) if finding.is_right is False]


@pytest.mark.parametrize("kind", CORES)
def test_built_in_cores_are_right(kind):
    assert wrong(CoreConfig(kind=kind)) == []


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU])
def test_modules_with_the_signature_of_torch_s_are_right(cell):
    register("torch.nn:Cell", cell)
    config = CoreConfig(kind="torch.nn:Cell", args={"hidden_size": 6, "num_layers": 2})
    assert wrong(config) == []


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        (Memory, []),
        (Leaks, [WIPE, GRADIENT]),
        (ResetsLate, [IN_TIME, GRADIENT]),
        (ResetsEarly, [IN_TIME, STEPS]),
        (BeginsAtOne, [ZERO]),
        (GradientCrosses, [GRADIENT]),
        (Mixes, [APART]),
        (Detaches, [FULL]),
        (DiffersByLength, [ZERO, STEPS]),
        (WritesInPlace, [KEPT]),
        (DropsOut, [EVALUATION]),
        (IsRandom, [BITS]),
    ],
)
def test_a_planted_fault_is_found(cell, found):
    register("my.py:Core", cell)
    names = wrong(CoreConfig(kind="my.py:Core"))
    if cell is IsRandom:  # hides what the others compare
        assert BITS in names
    else:
        assert names == found


def test_bptt_1_that_is_not_cut_is_found(monkeypatch):
    monkeypatch.setattr("torch.Tensor.detach", lambda tensor: tensor)
    assert wrong(CoreConfig(kind="mlstm")) == [CUT]


def test_a_layer_whose_sequence_is_not_its_steps_is_found():
    class Backwards(nn.GRU):
        def forward(self, x, hx=None):
            y, _ = super().forward(x.flip(0), hx)
            return y.flip(0), y[-1:]

    register("my.py:Core", Backwards)
    assert STEPS in wrong(CoreConfig(kind="my.py:Core", args={"hidden_size": 6}))


def test_the_command_says_what_to_look_at_and_exits_with_1(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("benchmarks.core_check.UNROLL", 2)
    text = "from tests.test_core_checks import GradientCrosses\n"
    (tmp_path / "my.py").write_text(text)
    options = ["--rounds=1", f"--input_size={INPUT}"]
    assert main(["check", "my.py:GradientCrosses", *options]) == 1
    said = capsys.readouterr().out
    assert f"WRONG {GRADIENT}: the wiped state still has a gradient" in said
    assert all(f" {kind} " in said for kind in CORES)
    assert main(["check", "gru", "--core.hidden_size=8", *options]) == 0
    assert "WRONG" not in capsys.readouterr().out
    assert main(["check", "lstm", "--core.num_heads=2"]) == 2
    assert main(["check", "lstn"]) == 2
