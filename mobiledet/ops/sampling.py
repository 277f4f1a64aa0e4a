"""Random sampling of the candidates that a loss uses, for a whole batch at once."""

import torch
from torch import Tensor

from mobiledet.ops.matching import BACKGROUND


def sample_balanced(matched: Tensor, size: int, positive_fraction: float) -> tuple[Tensor, Tensor]:
    """Sample candidates of each image at random, with a limited fraction of foreground (arXiv:1506.01497, section
    3.1.3).

    If an image has fewer foreground candidates than allowed, more background is sampled instead.

    Args:
        matched: N x A, the result of a function in ``ops.matching``.
        size: S, number of samples per image.
        positive_fraction: largest fraction of foreground among them.

    Returns:
        N x S indices 0..A-1, foreground first; and N x S bool, False for padding if there are too few candidates.
    """
    size = min(size, matched.shape[1])
    lot = torch.rand(matched.shape, device=matched.device)
    order = lot.masked_fill(matched != BACKGROUND, -1.0)
    foreground, index = lot.masked_fill(matched < 0, -1.0).topk(int(size * positive_fraction))
    # sampled foreground comes before all background
    order = order.scatter(1, index, torch.where(foreground >= 0, foreground + 1, order.gather(1, index)))
    drawn, index = order.topk(size)
    return index, drawn >= 0
