"""One training step."""

from collections.abc import Sequence

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule

from mobiledet.data.loader import Batch
from mobiledet.detectors import Targets
from mobiledet.ops.images import normalize
from mobiledet.spec import ModelSpec
from mobiledet.training.meter import Losses


def train_step(
    fabric: Fabric,
    detector: _FabricModule,
    optimizer: torch.optim.Optimizer,
    parts: Sequence[Batch],
    spec: ModelSpec,
    clip_norm: float,
) -> Losses:
    """One optimiser step on a batch that is split into micro-batches of equal size (``parts``).

    The gradient is the mean over micro-batches and processes.

    Returns:
        the mean of each loss over the micro-batches, detached.
    """
    optimizer.zero_grad()
    total: Losses = {}
    for number, part in enumerate(parts, start=1):
        part = part.to(fabric.device)
        with fabric.no_backward_sync(detector, enabled=number < len(parts)):
            losses = detector(normalize(part.images, spec.input), Targets(part.boxes, part.labels))
            losses = {name: loss / len(parts) for name, loss in losses.items()}
            fabric.backward(torch.stack(list(losses.values())).sum())
        total = {name: total.get(name, 0) + loss.detach() for name, loss in losses.items()}
    if clip_norm:
        fabric.clip_gradients(detector, optimizer, max_norm=clip_norm, error_if_nonfinite=False)
    optimizer.step()
    return total


def seed_step(seed: int, step: int, rank: int) -> None:
    """Make the random numbers of a step depend only on seed, step and rank, so that a resumed run draws the same
    ones."""
    torch.manual_seed(int(np.random.SeedSequence((seed, step, rank)).generate_state(1)[0]))
