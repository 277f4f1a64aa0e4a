"""The mean losses of an epoch, and a check for losses that are not finite."""

import math
import time
from collections.abc import Callable, Sequence

import torch
from lightning_fabric import Fabric
from torch import Tensor

from mobiledet.data.loader import Batch
from mobiledet.errors import UserError

Losses = dict[str, Tensor]


class Meter:
    """Mean losses of the current epoch over this process's share of the images, and the training speed."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._images = 0
        self._steps = 0
        self._sums: Losses = {}

    def add(self, losses: Losses, images: int) -> None:
        """Add the losses of a step, and the number of images that all processes together saw in it."""
        for name, loss in losses.items():
            self._sums[name] = self._sums.get(name, torch.zeros_like(loss)) + loss
        self._steps += 1
        self._images += images

    def means(self, fabric: Fabric) -> dict[str, float]:
        """Mean of each loss over steps and processes; all processes must call this together."""
        if not self._sums:
            return {}
        sums = fabric.all_reduce(torch.stack(list(self._sums.values())), reduce_op="mean")
        assert isinstance(sums, Tensor)
        return dict(zip(self._sums, (sums / self._steps).tolist(), strict=True))

    def own_loss(self) -> float:
        """Mean of the whole loss over the steps of this process alone, which a GPU has to finish first."""
        return float(torch.stack(list(self._sums.values())).sum()) / self._steps if self._sums else 0.0

    @property
    def images_per_s(self) -> float:
        """Mean speed since the epoch began or was resumed."""
        return self._images / (time.monotonic() - self._started)

    def state(self) -> Losses:
        """The sum of each loss over the steps, on the CPU."""
        return {name: total.cpu() for name, total in self._sums.items()}

    def restore(self, sums: Losses, steps: int, device: torch.device) -> None:
        """Continue from the result of ``state`` after ``steps`` steps."""
        self._sums = {name: total.to(device) for name, total in sums.items()}
        self._steps = steps


class LossWatch:
    """Finds the first step whose loss is not finite.

    The losses are read only when ``check`` is called, because reading a value from a GPU stalls it.

    Args:
        name: gives the name of an image from its index in the data set.
        read: called with each step and its loss when the loss is read.
    """

    def __init__(self, name: Callable[[int], str] = str, read: Callable[[int, float], None] | None = None) -> None:
        self._name = name
        self._read = read
        self._pending: list[tuple[int, list[int], Tensor]] = []

    def add(self, step: int, parts: Sequence[Batch], losses: Losses) -> None:
        """Record the losses of a step and the indices of its images."""
        indices = torch.cat([part.indices for part in parts]).tolist()
        self._pending.append((step, indices, torch.stack(list(losses.values())).sum()))

    def check(self) -> None:
        """Check the losses since the last call.

        Raises:
            UserError: a loss is not finite; the message names its step and its images.
        """
        pending, self._pending = self._pending, []
        if not pending:
            return
        totals = torch.stack([total for _, _, total in pending]).tolist()
        for (step, indices, _), total in zip(pending, totals, strict=True):
            if not math.isfinite(total):
                names = ", ".join(map(self._name, indices))
                raise UserError(
                    f"the loss is {total} at step {step}, images {names}; lower --lr, or check these images"
                )
            if self._read:
                self._read(step, total)
