"""GhostNet: More Features from Cheap Operations (arXiv:1911.11907).

Figure 2 (b) gives the module, figure 3 the bottleneck, table 1 the network. Choices where the paper says nothing, all
as in the authors' released code:
- Every Ghost module has ratio 2 and a 3x3 cheap operation; each of its convolutions is followed by batch norm.
- The depthwise convolution between the modules and that of the shortcut are 3x3 or 5x5, as in MobileNetV3.
- Squeeze-and-excitation comes after the depthwise convolution, with a quarter of the channels and a hard sigmoid.
- Channels are rounded to multiples of 4; the 1280 channels before the classifier do not scale.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mobiledet.backbones.base import Published, Stage, StagedBackbone
from mobiledet.layers import ActivationLayer, ConvNormAct, NormLayer, ReLU, SqueezeExcite, make_divisible

STEM_CHANNELS = 16
HEAD_CHANNELS = 1280
RATIO = 2
CHEAP_KERNEL_SIZE = 3
REDUCTION = 4  # of squeeze-and-excitation

# table 1: Ghost bottlenecks of kernel size k, expansion e, c output channels, squeeze-and-excitation or not, stride s
STAGES: tuple[tuple[tuple[int, int, int, bool, int], ...], ...] = (
    # k, e, c, se, s
    ((3, 16, 16, False, 1),),
    ((3, 48, 24, False, 2),),
    ((3, 72, 24, False, 1),),
    ((5, 72, 40, True, 2),),
    ((5, 120, 40, True, 1),),
    ((3, 240, 80, False, 2),),
    (
        (3, 200, 80, False, 1),
        (3, 184, 80, False, 1),
        (3, 184, 80, False, 1),
        (3, 480, 112, True, 1),
        (3, 672, 112, True, 1),
    ),
    ((5, 672, 160, True, 2),),
    (
        (5, 960, 160, False, 1),
        (5, 960, 160, True, 1),
        (5, 960, 160, False, 1),
        (5, 960, 160, True, 1),
    ),
)
LAST_EXPANSION = 960  # table 1: the 1x1 convolution after the bottlenecks

# width: top-1 %, multiply-adds M, parameters M (section 4.2)
PUBLISHED = {
    0.5: Published(66.2, 42, 2.6),
    1.0: Published(73.9, 141, 5.2),
    1.3: Published(75.7, 226, 7.3),
}


class GhostChannels(NamedTuple):
    """The division of a Ghost module's output channels.

    Attributes:
        intrinsic: number of channels from the ordinary convolution.
        made: number of channels from the cheap operation.
        kept: number of those that are used; less than ``made`` if the ratio does not divide the channels.
    """

    intrinsic: int
    made: int
    kept: int


def ghost_channels(out_channels: int, ratio: int) -> GhostChannels:
    """The division for a ratio of output channels to intrinsic ones."""
    intrinsic = math.ceil(out_channels / ratio)
    return GhostChannels(intrinsic, intrinsic * (ratio - 1), out_channels - intrinsic)


class GhostModule(nn.Module):
    """Figure 2 (b): some maps from an ordinary convolution, the others from a depthwise convolution on those.

    Args:
        primary: computes the intrinsic maps.
        cheap: computes the ghost maps from the intrinsic ones.
        channels: output channels of both.
    """

    def __init__(self, primary: nn.Module, cheap: nn.Module, channels: GhostChannels) -> None:
        super().__init__()
        self.primary = primary
        self.cheap = cheap
        self.kept = channels.kept
        self.has_surplus = channels.kept < channels.made

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to the intrinsic maps followed by the ghost maps; ``primary`` may reduce H and W."""
        intrinsic = self.primary(x)
        ghosts = self.cheap(intrinsic)
        if self.has_surplus:
            ghosts = ghosts[:, : self.kept]
        return torch.cat((intrinsic, ghosts), dim=1)


def ghost_conv_norm_act(
    in_channels: int, out_channels: int, norm_layer: NormLayer, activation: ActivationLayer | None
) -> GhostModule:
    """The Ghost module of the bottlenecks: a 1x1 convolution and its cheap operation, each with normalisation."""
    channels = ghost_channels(out_channels, RATIO)
    return GhostModule(
        ConvNormAct(in_channels, channels.intrinsic, norm_layer=norm_layer, activation=activation),
        ConvNormAct(
            channels.intrinsic, channels.made, CHEAP_KERNEL_SIZE, 1, channels.intrinsic, norm_layer, activation
        ),
        channels,
    )


class GhostBottleneck(nn.Module):
    """Figure 3: an expanding and a projecting Ghost module, with a depthwise convolution between them at stride 2.

    Args:
        in_channels, out_channels, stride: channels and stride of the bottleneck.
        hidden: channels between the modules.
        kernel_size: kernel size of the depthwise convolutions.
        has_excite: whether there is squeeze-and-excitation before the second module.
        norm_layer: makes the normalisation layer from a number of channels.
        activation: makes the activation layer of the first module.
    """

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        out_channels: int,
        kernel_size: int,
        has_excite: bool,
        stride: int,
        norm_layer: NormLayer,
        activation: ActivationLayer = ReLU,
    ) -> None:
        super().__init__()
        self.expand = ghost_conv_norm_act(in_channels, hidden, norm_layer, activation)
        self.depthwise = (
            nn.Identity()
            if stride == 1
            else ConvNormAct(hidden, hidden, kernel_size, stride, hidden, norm_layer, activation=None)
        )
        self.excite = (
            SqueezeExcite(hidden, make_divisible(hidden / REDUCTION, 4), nn.Hardsigmoid)
            if has_excite
            else nn.Identity()
        )
        self.project = ghost_conv_norm_act(hidden, out_channels, norm_layer, None)
        self.shortcut = (
            nn.Identity()
            if stride == 1 and in_channels == out_channels
            else nn.Sequential(
                ConvNormAct(in_channels, in_channels, kernel_size, stride, in_channels, norm_layer, activation=None),
                ConvNormAct(in_channels, out_channels, norm_layer=norm_layer, activation=None),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x out_channels x H/stride x W/stride, rounded up."""
        y: Tensor = self.project(self.excite(self.depthwise(self.expand(x))))
        return y + self.shortcut(x)


class GhostNet(StagedBackbone):
    """The feature form: the last bottlenecks at strides 8, 16 and 32.

    Args:
        width: multiplier of all channels: 0.5, 1.0 or 1.3.
        norm_layer: makes the normalisation from a number of channels.
    """

    def __init__(self, width: float, norm_layer: NormLayer = nn.BatchNorm2d) -> None:
        in_channels = make_divisible(STEM_CHANNELS * width, 4)
        stem = ConvNormAct(3, in_channels, 3, 2, norm_layer=norm_layer)
        stages = []
        total_stride = 2
        for number, rows in enumerate(STAGES, start=1):
            blocks = nn.Sequential()
            for k, e, c, se, s in rows:
                hidden, channels = make_divisible(e * width, 4), make_divisible(c * width, 4)
                blocks.append(GhostBottleneck(in_channels, hidden, channels, k, se, s, norm_layer))
                in_channels = channels
                total_stride *= s
            stages.append(Stage(f"stage{number}", in_channels, total_stride, blocks))
        super().__init__(stem, stages, published=PUBLISHED[width])
        self.last_expansion = make_divisible(LAST_EXPANSION * width, 4)
        self.norm_layer = norm_layer

    def classifier_head(self, num_classes: int) -> nn.Module:
        """The last pointwise convolution, pooling, and two fully connected layers."""
        return nn.Sequential(
            ConvNormAct(self.feature_info[-1].channels, self.last_expansion, norm_layer=self.norm_layer),
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(self.last_expansion, HEAD_CHANNELS, 1),
            ReLU(),
            nn.Flatten(),
            nn.Linear(HEAD_CHANNELS, num_classes),
        )
