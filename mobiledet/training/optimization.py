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
    """Two parameter groups: weights of convolutions and linear layers with weight decay, and biases and normalisation
    parameters, which are vectors, without.

    Args:
        model: only its trainable parameters are used.
        weight_decay: weight decay of the first group.
        decay_depthwise: whether depthwise convolutions belong to the first group. MobileNet (arXiv:1704.04861, section
            3.2) leaves them out, because they have few weights.
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
    """AdamW or SGD with momentum over the trainable parameters; the training loop sets the learning rate at each
    step."""
    groups = parameter_groups(model, config.weight_decay, config.decay_depthwise)
    fused = config.precision != "16-mixed"  # with scaled gradients Lightning cannot clip before a fused step
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum, fused=fused)
    return torch.optim.AdamW(groups, lr=config.lr, fused=fused)


def peak_lr(config: TrainConfig) -> float:
    """``lr``, scaled in proportion to the batch size (arXiv:1706.02677, section 2.1) if ``lr_batch_size`` is set."""
    return config.lr * config.batch_images / config.lr_batch_size if config.lr_batch_size else config.lr


def learning_rate(config: TrainConfig, steps_per_epoch: int) -> Callable[[int], float]:
    """A function from the step, counted from 0, to its learning rate: a linear warm-up, then a cosine or steps."""
    total_steps = config.epochs * steps_per_epoch
    warmup_steps = max(1, min(config.warmup_steps, total_steps // 10))
    milestones = [epoch * steps_per_epoch for epoch in config.lr_steps]
    peak = peak_lr(config)

    def cosine(step: int) -> float:
        progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
        return config.final_lr + (1 - config.final_lr) * 0.5 * (1 + math.cos(math.pi * progress))

    def steps(step: int) -> float:
        return config.lr_gamma ** sum(step >= milestone for milestone in milestones)

    schedule = {"cosine": cosine, "steps": steps}[config.schedule]
    return lambda step: peak * ((step + 1) / warmup_steps if step < warmup_steps else schedule(step))


class AveragedWeights:
    """Exponential moving average of a model's weights and batch normalisation statistics.

    The decay rises to its final value over the first steps, so that the random initial weights are soon forgotten.

    Args:
        model: the model in training.
        decay: fraction of the average that is kept at each step, 0..1; with 0 the average equals the weights.
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
        """All batch normalisation statistics of the model and of its average, as one vector on the CPU."""
        return torch.cat([buffer.flatten() for buffer in self._statistics]).cpu()

    @torch.no_grad()
    def restore_statistics(self, flat: Tensor) -> None:
        """Restore the result of ``statistics``."""
        parts = flat.split([buffer.numel() for buffer in self._statistics])
        for buffer, part in zip(self._statistics, parts, strict=True):
            buffer.copy_(part.view_as(buffer))

    @torch.no_grad()
    def synchronize(self) -> None:
        """Average the batch normalisation statistics over all processes, in the model and in its average.

        Each process sees only its share of the images, so that its statistics differ from the others' before.
        """
        if not torch.distributed.is_initialized():
            return
        flat = torch.cat([buffer.flatten() for buffer in self._statistics])
        torch.distributed.all_reduce(flat)
        self.restore_statistics(flat / torch.distributed.get_world_size())

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Update the average with the model's weights after ``step``, counted from 0."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._averaged, self._followed, 1 - decay)
        for averaged, followed in self._counters:
            averaged.copy_(followed)


def _statistics(model: nn.Module) -> list[Tensor]:
    """Running means and variances of all normalisation layers."""
    return [buffer for name, buffer in model.named_buffers() if name.endswith(("running_mean", "running_var"))]
