"""The normalised feature map of the Linear Transformer's and the Delta Net's keys and queries."""

from torch import Tensor
from torch.nn import functional

SUM_EPSILON = 1e-5  # Irie et al. 2021, in their code


def elu_feature_map(x: Tensor) -> Tensor:
    """Returns phi(x) = (elu(x) + 1) / (sum + epsilon) over the last dimension.

    Source: elu + 1 is Katharopoulos et al. 2020 (https://arxiv.org/abs/2006.16236), the
    sum-normalisation Schlag, Irie, Schmidhuber 2021 (https://arxiv.org/abs/2102.11174).

    Args:
        x: [..., K] any float dtype.
    """
    positive = functional.elu(x) + 1.0
    return positive / (positive.sum(-1, keepdim=True) + SUM_EPSILON)
