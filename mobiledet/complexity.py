"""Parameters, multiply-adds and memory access of a network, layer by layer.

A multiply-add counts as one. Only convolutions and fully connected layers are counted, as in the papers on mobile
networks.

Memory access is counted as in ShuffleNet V2 (arXiv:1807.11164, section 2): each input and weight is read once and each
output is written once, as with a sufficiently large cache. For a 1x1 convolution from c1 to c2 channels on an h x w map
that is hw(c1 + c2) + c1 c2, with g groups hw(c1 + c2) + c1 c2 / g. In general it is the number of input values that the
kernel touches (a 1x1 convolution of stride 2 touches a quarter), of output values and of weights; bias, normalisation
and activation are left out.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

KINDS = ("1x1", "depthwise", "grouped", "full", "linear")


@dataclass(frozen=True)
class LayerCost:
    """Cost of one convolution or fully connected layer for a batch of one.

    Attributes:
        name: the module's path in the network.
        kind: one of ``KINDS``.
        parameters: number of weights and biases.
        macs: number of multiply-adds.
        memory_access: number of values read and written.
        in_channels, out_channels: channels; features of a fully connected layer.
        kernel_size: (rows, columns).
        groups: groups of a convolution, otherwise 1.
        positions: rows times columns of the output; for a fully connected layer the number of input vectors.
    """

    name: str
    kind: str
    parameters: int
    macs: int
    memory_access: int
    in_channels: int
    out_channels: int
    kernel_size: tuple[int, int]
    groups: int
    positions: int

    @property
    def is_grouped_1x1(self) -> bool:
        """Whether it is a 1x1 convolution with more than one group."""
        return self.kernel_size == (1, 1) and self.groups > 1


def layer_costs(model: nn.Module, height: int, width: int, channels: int = 3) -> tuple[LayerCost, ...]:
    """Cost of each layer for one image of channels x height x width, in the order of execution; a layer that runs twice
    is listed twice.

    For a model on the ``meta`` device nothing is computed.
    """
    names = {module: name for name, module in model.named_modules()}
    costs: list[LayerCost] = []

    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        costs.append(_layer_cost(names[module], module, inputs[0], output))

    counted = [module for module in names if isinstance(module, nn.Conv2d | nn.Linear)]
    hooks = [module.register_forward_hook(record) for module in counted]
    was_training = model.training
    try:
        with torch.inference_mode():
            model.eval()(torch.zeros(1, channels, height, width, device=next(model.parameters()).device))
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return tuple(costs)


def count_macs(model: nn.Module, height: int, width: int) -> int:
    """Multiply-adds for one 3 x height x width image."""
    return sum(cost.macs for cost in layer_costs(model, height, width))


def count_parameters(model: nn.Module) -> int:
    """Number of parameters, including those of normalisation layers."""
    return sum(parameter.numel() for parameter in model.parameters())


def layer_kind(module: nn.Module) -> str:
    """``1x1``, ``depthwise``, ``grouped`` or ``full`` for a convolution, ``linear`` for every other module."""
    if not isinstance(module, nn.Conv2d):
        return "linear"
    if module.groups == 1:
        return "1x1" if module.kernel_size == (1, 1) else "full"
    return "depthwise" if module.groups == module.in_channels else "grouped"


def _layer_cost(name: str, module: nn.Module, taken: Tensor, given: Tensor) -> LayerCost:
    parameters = sum(parameter.numel() for parameter in module.parameters())
    kind = layer_kind(module)
    if isinstance(module, nn.Conv2d):
        in_channels, out_channels, groups = module.in_channels, module.out_channels, module.groups
        kernel_size = (module.kernel_size[0], module.kernel_size[1])
        sides = zip(taken.shape[-2:], given.shape[-2:], kernel_size, strict=True)
        touched = math.prod(min(before, after * kernel) for before, after, kernel in sides)
    else:
        assert isinstance(module, nn.Linear)
        in_channels, out_channels, groups, kernel_size = module.in_features, module.out_features, 1, (1, 1)
        touched = taken[0].numel() // in_channels
    positions = given[0].numel() // out_channels
    weights = math.prod(kernel_size) * in_channels * out_channels // groups
    memory_access = touched * in_channels + positions * out_channels + weights
    macs = positions * weights
    return LayerCost(
        name, kind, parameters, macs, memory_access, in_channels, out_channels, kernel_size, groups, positions
    )
