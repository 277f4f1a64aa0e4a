"""Reductions over the processes that train together."""

import torch.distributed
from torch import Tensor


def mean_over_processes(count: Tensor) -> Tensor:
    """The mean of a count over all processes that train together; the count itself if there is only one process.

    Gradients are averaged over processes: if every process divides by this mean, the loss is that of the whole batch.
    """
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return count
    total = count.detach().float()
    torch.distributed.all_reduce(total)
    return total / torch.distributed.get_world_size()
