"""Optimiser, learning-rate schedule and averaged weights."""

import copy
import math
from collections.abc import Callable

import torch
import torch.distributed
from torch import Tensor, nn

from mobiledet.complexity import layer_kind
from mobiledet.detectors import Detector
from mobiledet.training.config import TrainConfig


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


def build_optimizer(config: TrainConfig, model: nn.Module) -> torch.optim.Optimizer:
    """AdamW or SGD with momentum over the trainable parameters; the learning rate is set at each step."""
    groups = parameter_groups(model, config.weight_decay, config.decay_depthwise)
    fused = config.precision != "16-mixed"  # with scaled gradients lightning cannot clip before a fused step
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, fused=fused)
    return torch.optim.AdamW(groups, lr=config.lr, fused=fused)


def highest_lr(config: TrainConfig) -> float:
    """``lr``, scaled to the batch in proportion (arXiv:1706.02677, section 2.1) where it is meant for another one."""
    return config.lr * config.batch_size / (config.lr_batch_size or config.batch_size)


def learning_rate(config: TrainConfig, steps_per_epoch: int) -> Callable[[int], float]:
    """The learning rate at each step, counted from 0: a linear rise, then a cosine or steps."""
    total_steps = config.epochs * steps_per_epoch
    warmup_steps = max(1, min(config.warmup_steps, total_steps // 10))
    falls = [epoch * steps_per_epoch for epoch in config.lr_steps]
    highest = highest_lr(config)

    def cosine(step: int) -> float:
        progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
        return config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * progress))

    def steps(step: int) -> float:
        return config.lr_gamma ** sum(step >= fall for fall in falls)

    share = {"cosine": cosine, "steps": steps}[config.schedule]
    return lambda step: highest * ((step + 1) / warmup_steps if step < warmup_steps else share(step))


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
        self._statistics = [*_statistics(model), *_statistics(self.model)]
        self._counters: list[tuple[Tensor, Tensor]] = [
            (averaged[name], followed[name]) for name in averaged if not is_float[name]
        ]

    def statistics(self) -> Tensor:
        """All normalisation statistics of the model and of its average, as one vector on the CPU."""
        return torch.cat([buffer.flatten() for buffer in self._statistics]).cpu()

    @torch.no_grad()
    def restore_statistics(self, flat: Tensor) -> None:
        """Put back what ``statistics`` gave."""
        parts = flat.split([buffer.numel() for buffer in self._statistics])
        for buffer, part in zip(self._statistics, parts, strict=True):
            buffer.copy_(part.view_as(buffer))

    @torch.no_grad()
    def synchronize(self) -> None:
        """Average the normalisation statistics of all processes, in the model and in its average.

        Each process sees its share of the images; after this all processes hold the same numbers again.
        """
        if not torch.distributed.is_initialized():
            return
        flat = torch.cat([buffer.flatten() for buffer in self._statistics])
        torch.distributed.all_reduce(flat)
        self.restore_statistics(flat / torch.distributed.get_world_size())

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
