"""Parameters and multiply-adds of a network, layer by layer.

One multiply-add counts as one, convolutions and fully connected layers only, as in the papers of mobile networks.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class LayerCost:
    """Cost of one convolution or fully connected layer for a batch of one.

    Attributes:
        name: the module's path in the network.
        kind: ``1x1``, ``depthwise``, ``grouped``, ``full`` or ``linear``.
        parameters: of weight and bias.
        macs: multiply-adds.
    """

    name: str
    kind: str
    parameters: int
    macs: int


def layer_costs(model: nn.Module, height: int, width: int) -> tuple[LayerCost, ...]:
    """Costs in the order of execution, for one 3 x height x width image; a layer that runs twice is listed twice.

    A model on the ``meta`` device is counted without computing anything.
    """
    names = {module: name for name, module in model.named_modules()}
    costs: list[LayerCost] = []

    def record(module: nn.Module, _: object, output: Tensor) -> None:
        parameters = sum(parameter.numel() for parameter in module.parameters())
        costs.append(LayerCost(names[module], layer_kind(module), parameters, _macs(module, output)))

    counted = [module for module in names if isinstance(module, nn.Conv2d | nn.Linear)]
    hooks = [module.register_forward_hook(record) for module in counted]
    was_training = model.training
    try:
        with torch.inference_mode():
            model.eval()(torch.zeros(1, 3, height, width, device=next(model.parameters()).device))
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return tuple(costs)


def count_macs(model: nn.Module, height: int, width: int) -> int:
    """Multiply-adds for one 3 x height x width image."""
    return sum(cost.macs for cost in layer_costs(model, height, width))


def count_parameters(model: nn.Module) -> int:
    """All trainable numbers, normalisation included."""
    return sum(parameter.numel() for parameter in model.parameters())


def layer_kind(module: nn.Module) -> str:
    """``1x1``, ``depthwise``, ``grouped`` or ``full`` for a convolution, ``linear`` for every other module."""
    if not isinstance(module, nn.Conv2d):
        return "linear"
    if module.groups == 1:
        return "1x1" if module.kernel_size == (1, 1) else "full"
    return "depthwise" if module.groups == module.in_channels else "grouped"


def _macs(module: nn.Module, output: Tensor) -> int:
    if isinstance(module, nn.Conv2d):
        rows, columns = module.kernel_size
        return output[0].numel() * rows * columns * module.in_channels // module.groups
    assert isinstance(module, nn.Linear)
    return output[0].numel() * module.in_features
