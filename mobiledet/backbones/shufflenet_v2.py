"""ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design (arXiv:1807.11164).

Figure 3 (c, d) gives the units, table 5 the network. One choice where the paper says nothing: the first unit of stage
2 takes half of its output channels from either branch, as in torchvision, whose trained weights fit. The authors'
released code leaves the stem's 24 channels to the shortcut and gives the rest to the other branch, which costs 1 % more
and makes exactly the paper's multiply-adds; at 0.5x the two agree. Their code takes every other channel where figure 3
shuffles and halves. ``use_released_order`` makes a network of both kinds, for their weights.
"""

from typing import cast

import torch
from torch import Tensor, nn

from mobiledet.backbones.base import Published, Stage, StagedBackbone, pooled_classifier
from mobiledet.layers import ConvNormAct, NormLayer, channel_shuffle

STEM_CHANNELS = 24
UNITS = (4, 8, 4)  # of stages 2, 3, 4

# table 5, output channels: stage 2, stage 3, stage 4, conv5
CHANNELS = {
    0.5: (48, 96, 192, 1024),
    1.0: (116, 232, 464, 1024),
    1.5: (176, 352, 704, 1024),
    2.0: (244, 488, 976, 2048),
}

# width: top-1 %, multiply-adds M (table 8), parameters M (the authors' released models)
PUBLISHED = {
    0.5: Published(60.3, 41, 1.4),
    1.0: Published(69.4, 146, 2.3),
    1.5: Published(72.6, 299, 3.5),
    2.0: Published(74.9, 591, 7.4),
}


class Branch(nn.Sequential):
    """1x1 convolution, 3x3 depthwise convolution, 1x1 convolution; no activation after the depthwise one."""

    def __init__(self, in_channels: int, middle: int, out_channels: int, stride: int, norm_layer: NormLayer) -> None:
        super().__init__(
            ConvNormAct(in_channels, middle, norm_layer=norm_layer),
            ConvNormAct(middle, middle, 3, stride, middle, norm_layer, activation=None),
            ConvNormAct(middle, out_channels, norm_layer=norm_layer),
        )


class BasicUnit(nn.Module):
    """Figure 3 (c): half of the channels pass untouched, half through the branch; concatenated and shuffled."""

    released = False  # whether in the order of the authors' released code

    def __init__(self, channels: int, norm_layer: NormLayer) -> None:
        super().__init__()
        half = channels // 2
        self.branch = Branch(half, half, half, 1, norm_layer)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to maps of the same shape."""
        if self.released:
            return torch.cat((x[:, 0::2], self.branch(x[:, 1::2])), dim=1)
        kept, changed = x.chunk(2, dim=1)
        return channel_shuffle(torch.cat((kept, self.branch(changed)), dim=1), 2)


class DownsamplingUnit(nn.Module):
    """Figure 3 (d): stride 2; both branches see all channels.

    Args:
        in_channels, out_channels: of the unit.
        norm_layer: makes the normalisation from a number of channels.
        shortcut_channels: of the output that come from the shortcut; half of them by default.
    """

    released = False  # whether in the order of the authors' released code

    def __init__(
        self, in_channels: int, out_channels: int, norm_layer: NormLayer, shortcut_channels: int | None = None
    ) -> None:
        super().__init__()
        half = out_channels // 2
        from_shortcut = shortcut_channels or half
        self.shortcut = nn.Sequential(
            ConvNormAct(in_channels, in_channels, 3, 2, in_channels, norm_layer, activation=None),
            ConvNormAct(in_channels, from_shortcut, norm_layer=norm_layer),
        )
        self.branch = Branch(in_channels, half, out_channels - from_shortcut, 2, norm_layer)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x out_channels x H/2 x W/2, rounded up."""
        joined = torch.cat((self.shortcut(x), self.branch(x)), dim=1)
        return joined if self.released else channel_shuffle(joined, 2)


class ShuffleNetV2(StagedBackbone):
    """The feature form: stages 2, 3 and 4 at strides 8, 16 and 32.

    Args:
        width: 0.5, 1.0, 1.5 or 2.0.
        norm_layer: makes the normalisation from a number of channels.
    """

    released = False  # see ``use_released_order``

    def __init__(self, width: float, norm_layer: NormLayer = nn.BatchNorm2d) -> None:
        *stage_channels, head_channels = CHANNELS[width]
        stem = ConvNormAct(3, STEM_CHANNELS, 3, 2, norm_layer=norm_layer)
        stages = []
        in_channels = STEM_CHANNELS
        for number, (channels, units) in enumerate(zip(stage_channels, UNITS, strict=True), start=2):
            blocks = nn.Sequential(
                DownsamplingUnit(in_channels, channels, norm_layer),
                *(BasicUnit(channels, norm_layer) for _ in range(units - 1)),
            )
            stages.append(Stage(f"stage{number}", channels, 2 ** (number + 1), blocks))
            in_channels = channels
        super().__init__(stem, stages, nn.MaxPool2d(3, 2, padding=1), PUBLISHED[width])
        self.head_channels = head_channels
        self.norm_layer = norm_layer

    def use_released_order(self) -> None:
        """Take every other channel, and leave the stem's channels to the first shortcut, as the authors' released
        code. The first unit is replaced by a new one."""
        self.released = True
        first = cast(nn.Sequential, self.stages[0])
        first[0] = DownsamplingUnit(STEM_CHANNELS, self.feature_info[0].channels, self.norm_layer, STEM_CHANNELS)
        for unit in self.modules():
            if isinstance(unit, BasicUnit | DownsamplingUnit):
                unit.released = True

    def classifier_head(self, num_classes: int) -> nn.Module:
        """The last pointwise convolution, pooling, and a fully connected layer."""
        return nn.Sequential(
            ConvNormAct(self.feature_info[-1].channels, self.head_channels, norm_layer=self.norm_layer),
            *pooled_classifier(self.head_channels, num_classes),
        )
