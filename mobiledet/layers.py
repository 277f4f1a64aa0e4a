"""Building blocks that several papers share."""

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from mobiledet.errors import unknown_name

NormLayer = Callable[[int], nn.Module]
ActivationLayer = Callable[[], nn.Module]

ReLU: ActivationLayer = partial(nn.ReLU, inplace=True)
ReLU6: ActivationLayer = partial(nn.ReLU6, inplace=True)
LeakyReLU: ActivationLayer = partial(nn.LeakyReLU, 0.1, inplace=True)

# activations by their names in options of networks
ACTIVATIONS: dict[str, ActivationLayer] = {"relu": ReLU, "relu6": ReLU6, "leaky_relu": LeakyReLU}


def activation_layer(name: str) -> ActivationLayer:
    """The activation called ``name``.

    Raises:
        UserError: the name is not in ``ACTIVATIONS``.
    """
    if name not in ACTIVATIONS:
        raise unknown_name("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]


def replace_activations(network: nn.Module, activation: ActivationLayer) -> int:
    """Replace every ReLU and ReLU6 of a network by another activation, in place; returns the number of replacements."""
    replaced = 0
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ReLU | nn.ReLU6):
                setattr(parent, name, activation())
                replaced += 1
    return replaced


class ConvNormAct(nn.Sequential):
    """Convolution without bias, normalisation and activation; padded so that stride 1 keeps the size.

    Args:
        in_channels, out_channels, kernel_size, stride, groups: arguments of the convolution.
        norm_layer: makes the normalisation layer from a number of channels.
        activation: makes the activation layer; None leaves it out.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        groups: int = 1,
        norm_layer: NormLayer = nn.BatchNorm2d,
        activation: ActivationLayer | None = ReLU,
    ) -> None:
        padding = (kernel_size - 1) // 2
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False),
            norm_layer(out_channels),
        ]
        if activation is not None:
            layers.append(activation())
        super().__init__(*layers)


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding: if an odd number of rows or columns is added, the extra one is at
    the bottom or on the right. With stride 2 and even sides it samples other positions than symmetric padding."""

    def forward(self, input: Tensor) -> Tensor:
        """N x C x H x W to N x out_channels x H/stride x W/stride, rounded up."""
        rows, columns = (
            max(0, (-(-side // stride) - 1) * stride + dilation * (kernel - 1) + 1 - side)
            for side, kernel, stride, dilation in zip(
                input.shape[2:], self.kernel_size, self.stride, self.dilation, strict=True
            )
        )
        half = (rows // 2, columns // 2)
        if rows % 2 or columns % 2:
            input = F.pad(input, (half[1], columns - half[1], half[0], rows - half[0]))
            half = (0, 0)
        return F.conv2d(input, self.weight, self.bias, self.stride, half, self.dilation, self.groups)


def pad_as_tensorflow(network: nn.Module) -> int:
    """Replace every convolution with a stride above 1 by ``SameConv2d``, in place; returns the number of
    replacements."""
    replaced = 0
    for name, conv in list(network.named_modules()):
        if isinstance(conv, nn.Conv2d) and max(conv.stride) > 1 and not isinstance(conv, SameConv2d):
            same = SameConv2d(
                conv.in_channels,
                conv.out_channels,
                conv.kernel_size,  # type: ignore[arg-type]  # two sides
                conv.stride,  # type: ignore[arg-type]
                dilation=conv.dilation,  # type: ignore[arg-type]
                groups=conv.groups,
                bias=conv.bias is not None,
            )
            same.load_state_dict(conv.state_dict())
            network.set_submodule(name, same)
            replaced += 1
    return replaced


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate computed from the means of all channels (Squeeze-and-Excitation, arXiv:1709.01507).

    Args:
        channels: channels of input and output.
        reduced: channels of the hidden layer.
        gate: makes the last activation.
    """

    def __init__(self, channels: int, reduced: int, gate: ActivationLayer = nn.Sigmoid) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, reduced, 1)
        self.activation = ReLU()
        self.expand = nn.Conv2d(reduced, channels, 1)
        self.gate = gate()

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to maps of the same shape."""
        gate: Tensor = self.gate(self.expand(self.activation(self.reduce(self.pool(x)))))
        return x * gate


def depthwise_separable(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    stride: int = 1,
    norm_layer: NormLayer = nn.BatchNorm2d,
    activation: ActivationLayer = ReLU,
) -> nn.Sequential:
    """A depthwise convolution followed by a 1x1 one, each with normalisation and activation."""
    return nn.Sequential(
        ConvNormAct(in_channels, in_channels, kernel_size, stride, in_channels, norm_layer, activation),
        ConvNormAct(in_channels, out_channels, norm_layer=norm_layer, activation=activation),
    )


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave the channels of ``groups`` equal groups (ShuffleNet, arXiv:1707.01083, section 3.1).

    It works on the channels-last view, with at most 4-D tensors and one transposition, so that mobile delegates support
    it and the memory format of a channels_last tensor is kept.

    Args:
        x: N x C x H x W, C a multiple of ``groups``.

    Returns:
        N x C x H x W; output channel ``i * groups + j`` is input channel ``j * (C / groups) + i``.
    """
    n, c, h, w = x.shape
    x = x.permute(0, 2, 3, 1).reshape(n, h * w, groups, c // groups)
    return x.transpose(2, 3).reshape(n, h, w, c).permute(0, 3, 1, 2)


def make_divisible(value: float, divisor: int = 8) -> int:
    """The multiple of ``divisor`` nearest to ``value``, at least ``divisor`` and at least 90 % of ``value``.

    The rounding of channel counts in MobileNetV2 (arXiv:1801.04381) and later mobile networks.
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * value else rounded + divisor
