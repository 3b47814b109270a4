"""Where fast weights are written, and how strongly: settings that delta-rule cores share."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from ..kernels.keys import KeyNorm


@dataclass(frozen=True, kw_only=True)
class WriteArgs:
    """Where a step may write, and how strongly: its transition has the eigenvalue 1 - beta |k|^2.

    With keys of length 1 and beta up to 2 it can turn the sign of what is stored, which counting
    modulo 2 needs. Source: Grazzi et al. 2024 (https://arxiv.org/abs/2411.12537).

    Args:
        key_norm: keys and queries have positive entries with sum 1 by elu + 1 and division (sum)
            or by softmax, or entries of either sign and length 1 (l2).
        beta_range: the write strength lies between 0 and this.
    """

    key_norm: KeyNorm = "sum"
    beta_range: Literal[1, 2] = 1

    def strength(self, b: Tensor) -> Tensor:
        """Returns beta of b, elementwise."""
        beta = b.sigmoid()
        return beta if self.beta_range == 1 else beta * self.beta_range
