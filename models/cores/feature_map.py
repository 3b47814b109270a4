"""Where fast weights are written and read, and how strongly: normalised keys, and strengths."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn import functional

KeyNorm = Literal["sum", "softmax", "l2"]
SUM_EPSILON = 1e-5  # Irie et al. 2021, in their code


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


def elu_feature_map(x: Tensor) -> Tensor:
    """Returns phi(x) = (elu(x) + 1) / (sum + epsilon) over the last dimension.

    Source: elu + 1 is Katharopoulos et al. 2020 (https://arxiv.org/abs/2006.16236), the
    sum-normalisation Schlag, Irie, Schmidhuber 2021 (https://arxiv.org/abs/2102.11174).

    Args:
        x: [..., K] any float dtype.
    """
    positive = functional.elu(x) + 1.0
    return positive / (positive.sum(-1, keepdim=True) + SUM_EPSILON)


def feature_map(x: Tensor, norm: KeyNorm) -> Tensor:
    """Returns keys or queries of x [..., K], over the last dimension.

    "sum" is `elu_feature_map`, "softmax" likewise positive with sum 1, "l2" of length 1 and any
    sign, as Yang et al. 2024 (https://arxiv.org/abs/2406.06484) scale them.
    """
    if norm == "sum":
        return elu_feature_map(x)
    return x.softmax(-1) if norm == "softmax" else functional.normalize(x, dim=-1)
