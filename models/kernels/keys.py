"""How keys and queries are normalised: positive entries with sum 1, or length 1."""

from typing import Literal, get_args

from torch import Tensor
from torch.nn import functional

KeyNorm = Literal["sum", "softmax", "l2"]
KEY_NORMS = get_args(KeyNorm)
# cpu/key_norm.h has both.
SUM_EPSILON = 1e-5  # Irie et al. 2021, in their code
L2_EPSILON = 1e-12  # a shorter vector is divided by this; torch's default


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
    return x.softmax(-1) if norm == "softmax" else functional.normalize(x, dim=-1, eps=L2_EPSILON)
