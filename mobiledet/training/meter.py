"""What is kept of the losses: their means over an epoch, and the watch for one that is no number."""

import math
import time
from collections.abc import Callable, Sequence

import torch
from lightning.fabric import Fabric
from torch import Tensor

from mobiledet.data.loader import Batch
from mobiledet.errors import UserError

Losses = dict[str, Tensor]


class Meter:
    """Mean losses of an epoch so far, of this process's share of the images, and the speed."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._images = 0
        self._steps = 0
        self._sums: Losses = {}

    def add(self, losses: Losses, images: int) -> None:
        """Take in a step's losses and the images that all processes saw in it."""
        for name, loss in losses.items():
            self._sums[name] = self._sums.get(name, torch.zeros_like(loss)) + loss
        self._steps += 1
        self._images += images

    def means(self, fabric: Fabric) -> dict[str, float]:
        """Mean of each loss over the steps and the processes, all of which must call this."""
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
        """Since the epoch began, or was resumed."""
        return self._images / (time.monotonic() - self._started)

    def state(self) -> Losses:
        """The sums, on the CPU."""
        return {name: total.cpu() for name, total in self._sums.items()}

    def restore(self, sums: Losses, steps: int, device: torch.device) -> None:
        """Go on from what ``state`` gave after ``steps`` steps."""
        self._sums = {name: total.to(device) for name, total in sums.items()}
        self._steps = steps


class LossWatch:
    """Finds the first step whose loss is no finite number.

    The losses are read when ``check`` is called, because reading one from a GPU makes it wait.

    Args:
        name: of an image, by its index.
        read: is told each step and its loss when it is read.
    """

    def __init__(self, name: Callable[[int], str] = str, read: Callable[[int, float], None] | None = None) -> None:
        self._name = name
        self._read = read
        self._pending: list[tuple[int, list[int], Tensor]] = []

    def add(self, step: int, parts: Sequence[Batch], losses: Losses) -> None:
        """Note the losses of a step and the images that gave them."""
        indices = torch.cat([part.indices for part in parts]).tolist()
        self._pending.append((step, indices, torch.stack(list(losses.values())).sum()))

    def check(self) -> None:
        """Look at the losses since the last check.

        Raises:
            UserError: one is not finite; the message names its step and its images.
        """
        pending, self._pending = self._pending, []
        if not pending:
            return
        totals = torch.stack([total for _, _, total in pending]).tolist()
        for (step, indices, _), total in zip(pending, totals, strict=True):
            if not math.isfinite(total):
                names = ", ".join(map(self._name, indices))
                raise UserError(
                    f"the loss is {total} at step {step}, images {names}; lower --lr, or look at these images"
                )
            if self._read:
                self._read(step, total)
