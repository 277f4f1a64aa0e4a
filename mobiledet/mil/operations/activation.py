"""MIL, section Activation (iOS 15, iOS 17)."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def clamped_relu(x: Tensor, alpha: float, beta: float) -> Tensor:
    return F.leaky_relu(x, alpha).clamp(max=beta)


def elu(x: Tensor, alpha: float) -> Tensor:
    return F.elu(x, alpha)


def gelu(x: Tensor, mode: str = "EXACT") -> Tensor:
    """``EXACT``, ``TANH_APPROXIMATION`` or ``SIGMOID_APPROXIMATION``, which is x * sigmoid(1.702 x)."""
    if mode == "SIGMOID_APPROXIMATION":
        return x * torch.sigmoid(1.702 * x)
    return F.gelu(x, approximate={"EXACT": "none", "TANH_APPROXIMATION": "tanh"}[mode])


def leaky_relu(x: Tensor, alpha: float) -> Tensor:
    """alpha * x below zero, for alpha above 1 too."""
    return F.leaky_relu(x, alpha)


def linear_activation(x: Tensor, alpha: float, beta: float) -> Tensor:
    return alpha * x + beta


def prelu(x: Tensor, alpha: Tensor) -> Tensor:
    """One slope for each channel, dimension 1."""
    return F.prelu(x, alpha)


def scaled_tanh(x: Tensor, alpha: float, beta: float) -> Tensor:
    return alpha * torch.tanh(beta * x)


def sigmoid_hard(x: Tensor, alpha: float, beta: float) -> Tensor:
    return (alpha * x + beta).clamp(0, 1)


def softplus_parametric(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """alpha * log(1 + exp(beta * x)), one pair for each channel, dimension 1."""
    sides = (-1,) + (1,) * (x.dim() - 2)
    return alpha.reshape(sides) * F.softplus(beta.reshape(sides) * x)


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    return x.softmax(axis)


def thresholded_relu(x: Tensor, alpha: float) -> Tensor:
    """x where it is alpha or more, else 0."""
    return torch.where(x >= alpha, x, 0)


def _of_x(kernel: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def operation(x: Tensor) -> Tensor:
        return kernel(x)

    return operation


OPERATIONS: dict[str, Callable[..., Any]] = {
    "clamped_relu": clamped_relu,
    "elu": elu,
    "gelu": gelu,
    "leaky_relu": leaky_relu,
    "linear_activation": linear_activation,
    "prelu": prelu,
    "relu": _of_x(F.relu),
    "relu6": _of_x(F.relu6),
    "scaled_tanh": scaled_tanh,
    "sigmoid": _of_x(torch.sigmoid),
    "sigmoid_hard": sigmoid_hard,
    "silu": _of_x(F.silu),
    "softmax": softmax,
    "softplus": _of_x(F.softplus),
    "softplus_parametric": softplus_parametric,
    "softsign": _of_x(F.softsign),
    "thresholded_relu": thresholded_relu,
}
