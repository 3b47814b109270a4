"""What the C++ kernels keep for the backward pass, counted: the README of each says the same."""

import pytest
import torch

from tests.kernel_cases import OPERATORS, make_inputs, sizes

T, B, H, D = 50, 2, 3, 32
WRITES = sizes(T, B, H, D)["M"]
SEGMENTS = 4  # a checkpoint before steps 0, 16, 32 and 48
ROWS, MATRICES = T * B * H, SEGMENTS * B * H * D * D
FLOATS_KEPT = {
    "linear_attention": 0,
    "delta_rule": ROWS * D + MATRICES,
    "gated_delta_rule": ROWS * D + MATRICES,
    "delta_product": WRITES * ROWS * D + 10 * B * H * D * D,  # a checkpoint every 16 writes
    "delta_rnn": ROWS * 3 * D + 2 * MATRICES,
    "rdn": ROWS * (4 * D + 16) + MATRICES,
    "srwm": ROWS * (2 * D + 112 + 16) + SEGMENTS * B * H * D * 112,  # 112: 3 D + 4, padded
    "lstm": T * B * 6 * D,
    "gru": T * B * 5 * D,
}


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.title)
def test_the_backward_pass_keeps_what_is_documented(op):
    tensors = make_inputs(op, sizes(T, B, H, D), torch.float32)
    kept = {}

    def pack(x):
        kept[x.untyped_storage().data_ptr()] = x.numel()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        op(*tensors.values(), backend="cpu")
    for x in tensors.values():
        kept.pop(x.untyped_storage().data_ptr(), None)
    assert sum(kept.values()) == FLOATS_KEPT[op.name]
