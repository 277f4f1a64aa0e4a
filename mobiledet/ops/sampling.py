"""Which of many candidates take part in a loss, for a whole batch at once."""

import torch
from torch import Tensor

from mobiledet.ops.matching import BACKGROUND


def sample_balanced(matched: Tensor, size: int, positive_fraction: float) -> tuple[Tensor, Tensor]:
    """A random sample of each image with a limited share of foreground (arXiv:1506.01497, section 3.1.3).

    Where an image has fewer foreground candidates than its share allows, background takes their places.

    Args:
        matched: N x A, as ``ops.matching`` gives it.
        size: S, candidates of an image.
        positive_fraction: largest share of foreground among them.

    Returns:
        N x S indices 0..A-1, foreground first, and N x S: False in rows that fill up a sample without enough
        candidates.
    """
    size = min(size, matched.shape[1])
    lot = torch.rand(matched.shape, device=matched.device)
    order = lot.masked_fill(matched != BACKGROUND, -1.0)
    foreground, index = lot.masked_fill(matched < 0, -1.0).topk(int(size * positive_fraction))
    # whatever is drawn among the foreground comes before all background
    order = order.scatter(1, index, torch.where(foreground >= 0, foreground + 1, order.gather(1, index)))
    drawn, index = order.topk(size)
    return index, drawn >= 0
