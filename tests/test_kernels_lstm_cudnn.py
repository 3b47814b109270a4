"""The stepped LSTM for hidden sizes above Triton's: its arithmetic on CPU tensors, and its place.

On a GPU `tests/test_kernels_backends.py` runs it too, in cuDNN.
"""

from types import SimpleNamespace

import pytest
import torch

from models.kernels import dispatch, lstm, triton_launch
from models.kernels.lstm import cudnn
from tests.kernel_cases import (
    OPERATORS,
    errors,
    make_inputs,
    outputs_and_gradients,
    sizes,
    widened,
)
from tests.test_kernels_backends import BOUND

LSTM = next(op for op in OPERATORS if op.name == "lstm")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("bptt", ["full", 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_steps_match_the_reference_in_float64(dtype, bptt):
    tensors = make_inputs(LSTM, sizes(19, 3, 1, 24), dtype)
    got = outputs_and_gradients(LSTM, cudnn.run, tensors, bptt=bptt)
    want = outputs_and_gradients(LSTM, LSTM.reference, widened(tensors), bptt=bptt)
    wrong = {n: e for n, e in errors(got, want).items() if not e <= BOUND[got[n].dtype]}
    assert not wrong


def test_a_nan_stays_in_its_row_until_a_start():
    tensors = make_inputs(LSTM, sizes(5, 2, 1, 8), torch.float32, start_rate=0)
    tensors["start"][3, 0] = True
    clean, *_ = cudnn.run(*tensors.values())
    tensors["gates"].data[1, 0] = torch.nan
    dirty, *_ = cudnn.run(*tensors.values())
    assert dirty[1:3, 0].isnan().all()
    dirty[1:3, 0] = clean[1:3, 0]
    assert torch.equal(dirty, clean)


def on_cuda(hidden_size, dtype=torch.float32):
    """Returns stand-ins for the operator's cuda tensors: what a choice looks at."""
    shapes = {"gates": (5, 3, 4 * hidden_size), "w_hh": (4 * hidden_size, hidden_size)}
    return [
        SimpleNamespace(
            device=torch.device("cuda"),
            dtype=torch.bool if name == "start" else dtype,
            shape=shapes.get(name, (3, hidden_size)),
        )
        for name in lstm.LAYOUT
    ]


@pytest.mark.parametrize(
    ("hidden_size", "chosen"), [(64, "triton"), (256, "triton"), (257, "cudnn"), (512, "cudnn")]
)
def test_auto_steps_cudnn_above_the_size_that_triton_takes(monkeypatch, hidden_size, chosen):
    monkeypatch.setattr(triton_launch, "unavailable", lambda: None)
    assert dispatch.choose("lstm", lstm.BACKENDS, "auto", *on_cuda(hidden_size)).name == chosen


def test_above_512_only_the_reference_is_left_and_triton_and_cudnn_say_why(monkeypatch):
    monkeypatch.setattr(triton_launch, "unavailable", lambda: None)
    arguments = on_cuda(513)
    assert dispatch.choose("lstm", lstm.BACKENDS, "auto", *arguments).name == "reference"
    for name, limit in (("triton", 256), ("cudnn", 512)):
        with pytest.raises(ValueError, match=rf"{name}: takes hidden sizes (up )?to {limit}, got"):
            dispatch.choose("lstm", lstm.BACKENDS, name, *arguments)
