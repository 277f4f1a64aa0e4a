"""ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design (arXiv:1807.11164).

Figure 3 (c, d) gives the units, table 5 the network. No deviation.
"""

import torch
from torch import Tensor, nn

from mobiledet.backbones.base import Backbone, FeatureInfo
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


class Branch(nn.Sequential):
    """1x1 convolution, 3x3 depthwise convolution, 1x1 convolution; no activation after the depthwise one."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm_layer: NormLayer) -> None:
        super().__init__(
            ConvNormAct(in_channels, out_channels, norm_layer=norm_layer),
            ConvNormAct(out_channels, out_channels, 3, stride, out_channels, norm_layer, activation=None),
            ConvNormAct(out_channels, out_channels, norm_layer=norm_layer),
        )


class BasicUnit(nn.Module):
    """Figure 3 (c): half of the channels pass untouched, half through the branch; concatenated and shuffled."""

    def __init__(self, channels: int, norm_layer: NormLayer) -> None:
        super().__init__()
        self.branch = Branch(channels // 2, channels // 2, 1, norm_layer)

    def forward(self, x: Tensor) -> Tensor:
        kept, changed = x.chunk(2, dim=1)
        return channel_shuffle(torch.cat((kept, self.branch(changed)), dim=1), 2)


class DownsamplingUnit(nn.Module):
    """Figure 3 (d): stride 2; both branches see all channels."""

    def __init__(self, in_channels: int, out_channels: int, norm_layer: NormLayer) -> None:
        super().__init__()
        half = out_channels // 2
        self.shortcut = nn.Sequential(
            ConvNormAct(in_channels, in_channels, 3, 2, in_channels, norm_layer, activation=None),
            ConvNormAct(in_channels, half, norm_layer=norm_layer),
        )
        self.branch = Branch(in_channels, half, 2, norm_layer)

    def forward(self, x: Tensor) -> Tensor:
        return channel_shuffle(torch.cat((self.shortcut(x), self.branch(x)), dim=1), 2)


class ShuffleNetV2(Backbone):
    """The feature form: stages 2, 3 and 4 at strides 8, 16 and 32.

    Args:
        width: 0.5, 1.0, 1.5 or 2.0.
        norm_layer: makes the normalisation from a number of channels.
    """

    def __init__(self, width: float, norm_layer: NormLayer = nn.BatchNorm2d) -> None:
        super().__init__()
        *stages, self.head_channels = CHANNELS[width]
        self.norm_layer = norm_layer
        self.stem = ConvNormAct(3, STEM_CHANNELS, 3, 2, norm_layer=norm_layer)
        self.pool = nn.MaxPool2d(3, 2, padding=1)
        self.stages = nn.ModuleList()
        in_channels = STEM_CHANNELS
        for channels, units in zip(stages, UNITS, strict=True):
            self.stages.append(
                nn.Sequential(
                    DownsamplingUnit(in_channels, channels, norm_layer),
                    *(BasicUnit(channels, norm_layer) for _ in range(units - 1)),
                )
            )
            in_channels = channels
        names_strides = (("stage2", 8), ("stage3", 16), ("stage4", 32))
        self.feature_info = tuple(
            FeatureInfo(name, channels, stride) for (name, stride), channels in zip(names_strides, stages, strict=True)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        x = self.pool(self.stem(images))
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return tuple(features)

    def classifier_head(self, num_classes: int) -> nn.Module:
        return nn.Sequential(
            ConvNormAct(self.feature_info[-1].channels, self.head_channels, norm_layer=self.norm_layer),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(self.head_channels, num_classes),
        )
