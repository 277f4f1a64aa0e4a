"""ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices (arXiv:1707.01083).

Figure 2 (b, c) gives the units, table 1 the network. Choices where the paper says nothing:
- The stem scales with the width, except at 1.5x, as in the authors' released code.
- Where a quarter of the output channels, or the stem at 0.25x and 0.5x, does not divide into the groups, it is rounded
  to a multiple of them: the bottlenecks of g = 2 at 0.25x and 0.5x and 1.5x, of g = 4 at 0.25x, 0.5x and 1.5x; the
  stems of g = 4 at 0.25x and of g = 8 at 0.25x and 0.5x.
- The average pool counts its zero padding, as in the authors' released code.
- That code shuffles behind the depthwise convolution and by the inverse permutation; ``use_released_order`` does so for
  weights that fit no other way.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobiledet.backbones.base import Published, Stage, StagedBackbone, pooled_classifier
from mobiledet.layers import ConvNormAct, NormLayer, channel_shuffle, make_divisible

UNITS = (4, 8, 4)  # of stages 2, 3, 4
BOTTLENECK_RATIO = 4  # output channels of a unit to those of its bottleneck, section 3.3

# groups: output channels of stage 2 at 1x, table 1; stages 3 and 4 double them
STAGE2_CHANNELS = {1: 144, 2: 200, 3: 240, 4: 272, 8: 384}

# width: output channels of the stem
STEM_CHANNELS = {0.25: 6, 0.5: 12, 1.0: 24, 1.5: 24, 2.0: 48}

# (width, groups): top-1 %, multiply-adds M, parameters M; tables 2 and 5, 1.5x and 2x of g = 8 and all parameters from
# the authors' released code. The 38 M and 13 M of 0.5x and 0.25x name a class of complexity.
PUBLISHED = {
    (1.0, 1): Published(66.4, 143, 1.53),
    (1.0, 2): Published(67.3, 140, 1.73),
    (1.0, 3): Published(67.4, 137, 1.87),
    (1.0, 4): Published(67.2, 133, 1.97),
    (1.0, 8): Published(67.6, 137, 2.43),
    (0.5, 1): Published(54.9, 38),
    (0.5, 2): Published(55.6, 38),
    (0.5, 3): Published(56.8, 38, 0.7),
    (0.5, 4): Published(58.4, 38),
    (0.5, 8): Published(57.7, 38, 1.0),
    (0.25, 1): Published(42.9, 13),
    (0.25, 2): Published(43.2, 13),
    (0.25, 3): Published(45.0, 13),
    (0.25, 4): Published(45.8, 13),
    (0.25, 8): Published(47.3, 13),
    (1.5, 3): Published(71.5, 292, 3.4),
    (1.5, 8): Published(71.0, 290, 4.3),
    (2.0, 3): Published(73.7, 524, 5.4),
    (2.0, 8): Published(72.9, 522, 6.5),
}


class Branch(nn.Module):
    """Grouped 1x1 convolution, shuffle, 3x3 depthwise convolution, grouped 1x1 convolution without activation.

    Args:
        in_channels, out_channels, groups, stride: of the branch.
        bottleneck: channels in between.
        first_groups: of the first convolution.
        norm_layer: makes the normalisation from a number of channels.
    """

    released = False  # whether it shuffles as the authors' released code

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        bottleneck: int,
        groups: int,
        first_groups: int,
        stride: int,
        norm_layer: NormLayer,
    ) -> None:
        super().__init__()
        self.groups = groups
        self.reduce = ConvNormAct(in_channels, bottleneck, groups=first_groups, norm_layer=norm_layer)
        self.depthwise = ConvNormAct(bottleneck, bottleneck, 3, stride, bottleneck, norm_layer, activation=None)
        self.expand = ConvNormAct(bottleneck, out_channels, groups=groups, norm_layer=norm_layer, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x out_channels x H/stride x W/stride, rounded up."""
        x = self.reduce(x)
        if self.groups > 1 and not self.released:
            x = channel_shuffle(x, self.groups)
        x = self.depthwise(x)
        if self.groups > 1 and self.released:
            x = channel_shuffle(x, x.shape[1] // self.groups)
        x = self.expand(x)
        return x


class ResidualUnit(nn.Module):
    """Figure 2 (b): the branch is added to the input."""

    def __init__(self, channels: int, groups: int, norm_layer: NormLayer) -> None:
        super().__init__()
        bottleneck = bottleneck_channels(channels, groups)
        self.branch = Branch(channels, channels, bottleneck, groups, groups, 1, norm_layer)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to maps of the same shape."""
        return F.relu(x + self.branch(x))


class DownsamplingUnit(nn.Module):
    """Figure 2 (c): the branch, of stride 2, is concatenated with the input's 3x3 average pool."""

    def __init__(
        self, in_channels: int, out_channels: int, groups: int, first_groups: int, norm_layer: NormLayer
    ) -> None:
        super().__init__()
        bottleneck = bottleneck_channels(out_channels, groups)
        self.pool = nn.AvgPool2d(3, 2, padding=1)
        self.branch = Branch(in_channels, out_channels - in_channels, bottleneck, groups, first_groups, 2, norm_layer)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x out_channels x H/2 x W/2, rounded up."""
        # the input has come through a ReLU, so that the figure's last one has nothing to do on its mean
        return torch.cat((self.pool(x), F.relu(self.branch(x))), dim=1)


def bottleneck_channels(out_channels: int, groups: int) -> int:
    """A quarter of the unit's output channels, a multiple of the groups."""
    return make_divisible(out_channels / BOTTLENECK_RATIO, groups)


class ShuffleNetV1(StagedBackbone):
    """The feature form: stages 2, 3 and 4 at strides 8, 16 and 32.

    Args:
        width: 0.25, 0.5, 1.0, 1.5 or 2.0.
        groups: 1, 2, 3, 4 or 8.
        norm_layer: makes the normalisation from a number of channels.
    """

    released = False  # see ``use_released_order``

    def __init__(self, width: float, groups: int, norm_layer: NormLayer = nn.BatchNorm2d) -> None:
        in_channels = make_divisible(STEM_CHANNELS[width], groups)
        stem = ConvNormAct(3, in_channels, 3, 2, norm_layer=norm_layer)
        stages = []
        channels = int(STAGE2_CHANNELS[groups] * width)
        for number, units in enumerate(UNITS, start=2):
            # the stem has too few channels to be grouped (section 3.3)
            first_groups = 1 if number == 2 else groups
            blocks = nn.Sequential(
                DownsamplingUnit(in_channels, channels, groups, first_groups, norm_layer),
                *(ResidualUnit(channels, groups, norm_layer) for _ in range(units - 1)),
            )
            stages.append(Stage(f"stage{number}", channels, 2 ** (number + 1), blocks))
            in_channels, channels = channels, 2 * channels
        pool = nn.MaxPool2d(3, 2, padding=1)
        super().__init__(stem, stages, pool, PUBLISHED.get((width, groups)))

    def use_released_order(self) -> None:
        """Shuffle where and how the authors' released code does."""
        self.released = True
        for branch in self.modules():
            if isinstance(branch, Branch):
                branch.released = True

    def classifier_head(self, num_classes: int) -> nn.Module:
        """Pooling and a fully connected layer."""
        return nn.Sequential(*pooled_classifier(self.feature_info[-1].channels, num_classes))
