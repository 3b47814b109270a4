"""What dense layers and convolutions compute in; parameters and most that goes between stay wide.

bfloat16 keeps float32's range and 8 bits of its fraction; products are summed in float32.
"""

from functools import lru_cache
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

Precision = Literal["auto", "float32", "bfloat16"]


@lru_cache
def has_bfloat16(device_type: str) -> bool:
    """Returns whether a device multiplies bfloat16 in hardware (CPU: AVX-512 BF16 or AMX)."""
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    cpu = torch.cpu
    return bool(cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported())


def compute_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """Returns the dtype that a precision setting means on a device."""
    if precision == "auto":
        return torch.bfloat16 if has_bfloat16(device.type) else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def refuse_unknown(name: str, precision: str) -> None:
    """Raises ValueError where a setting of a name is no precision."""
    if precision not in get_args(Precision):
        raise ValueError(f"{name} must be auto, float32 or bfloat16, got {precision!r}")


class Precise:
    """Something whose owner may have its dense layers compute in another precision."""

    precision: Precision = "float32"

    def is_narrow(self, x: Tensor) -> bool:
        """Returns whether it computes with x in bfloat16; a model in float64 stays in float64."""
        is_wide = compute_dtype(self.precision, x.device) != torch.bfloat16
        return not is_wide and x.dtype in (torch.float32, torch.bfloat16)

    def dense(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Returns x W^T + b [N, out], of x [N, in]; in float32 where it computes in bfloat16."""
        if not self.is_narrow(x):
            return functional.linear(x, weight, bias)
        narrow = functional.linear(x.bfloat16(), weight.bfloat16()).float()
        return narrow if bias is None else narrow + bias


class Dense(Precise, nn.Linear):
    """`nn.Linear` with float32 parameters that may compute in bfloat16."""

    def forward(self, input: Tensor) -> Tensor:
        """Returns [N, out_features], in float32 where it computes in bfloat16."""
        return self.dense(input, self.weight, self.bias)

    def hidden(self, input: Tensor) -> Tensor:
        """Returns the same for another `Dense` to read: in bfloat16 where it computes in that."""
        if not self.is_narrow(input):
            return functional.linear(input, self.weight, self.bias)
        bias = None if self.bias is None else self.bias.bfloat16()
        return functional.linear(input.bfloat16(), self.weight.bfloat16(), bias)
