"""Optimiser, learning-rate schedule and averaged weights."""

import copy
import math
from collections.abc import Callable

import torch
import torch.distributed
from torch import Tensor, nn

from mobiledet.complexity import layer_kind
from mobiledet.detectors import Detector


def parameter_groups(model: nn.Module, weight_decay: float, decay_depthwise: bool = True) -> list[dict[str, object]]:
    """Weights of convolutions with decay; biases and normalisation, which are vectors, without.

    Args:
        model: whose trainable parameters are divided.
        weight_decay: of the first group.
        decay_depthwise: whether depthwise convolutions belong to it. MobileNet (arXiv:1704.04861, section 3.2) leaves
            them out, because they have so few weights.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    depthwise = {id(layer.weight) for layer in convolutions if layer_kind(layer) == "depthwise"}
    decaying = {id(p) for p in parameters if p.ndim > 1 and (decay_depthwise or id(p) not in depthwise)}
    return [
        {"params": [p for p in parameters if id(p) in decaying], "weight_decay": weight_decay},
        {"params": [p for p in parameters if id(p) not in decaying], "weight_decay": 0.0},
    ]


def warmup_cosine(warmup_steps: int, total_steps: int, floor: float = 0.02) -> Callable[[int], float]:
    """Share of the highest learning rate at a step: a linear rise, then a cosine down to ``floor``."""
    warmup_steps = max(1, min(warmup_steps, total_steps // 10))

    def share(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))

    return share


class AveragedWeights:
    """Exponential moving average of a model's weights and normalisation statistics.

    The decay rises to its value over the first steps, so that a short run is not held back by its random start.

    Args:
        model: whose weights are followed.
        decay: share that the average keeps at each step; 0 follows the weights exactly.
    """

    def __init__(self, model: Detector, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        averaged, followed = self.model.state_dict(), model.state_dict()
        is_float = {name: tensor.is_floating_point() for name, tensor in averaged.items()}
        self._averaged = [averaged[name] for name in averaged if is_float[name]]
        self._followed = [followed[name] for name in averaged if is_float[name]]
        self._model_statistics = _statistics(model)
        self._average_statistics = _statistics(self.model)
        self._counters: list[tuple[Tensor, Tensor]] = [
            (averaged[name], followed[name]) for name in averaged if not is_float[name]
        ]

    @torch.no_grad()
    def synchronize(self) -> None:
        """Average the normalisation statistics of all processes, in the model and in its average.

        Each process sees its share of the images; after this all processes hold the same numbers again.
        """
        if not torch.distributed.is_initialized():
            return
        for buffers in (self._model_statistics, self._average_statistics):
            flat = torch.cat([buffer.flatten() for buffer in buffers])
            torch.distributed.all_reduce(flat)
            flat /= torch.distributed.get_world_size()
            torch._foreach_copy_(
                buffers,
                [part.view_as(b) for part, b in zip(flat.split([b.numel() for b in buffers]), buffers, strict=True)],
            )

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after ``step`` (counted from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._averaged, self._followed, 1 - decay)
        for averaged, followed in self._counters:
            averaged.copy_(followed)


def _statistics(model: nn.Module) -> list[Tensor]:
    """Running means and variances of all normalisations."""
    return [buffer for name, buffer in model.named_buffers() if name.endswith(("running_mean", "running_var"))]
