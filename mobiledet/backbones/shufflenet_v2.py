"""ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design (arXiv:1807.11164).

Figure 3 (c, d) gives the units, table 5 the network. One choice where the paper says nothing: the first unit of stage
2 takes half of its output channels from either branch, as in torchvision, whose trained weights fit. The authors'
released code leaves the stem's 24 channels to the shortcut and gives the rest to the other branch, which costs 1 % more
and makes exactly the paper's multiply-adds; at 0.5x the two agree.
"""

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


class ShuffleNetV2(StagedBackbone):
    """The feature form: stages 2, 3 and 4 at strides 8, 16 and 32.

    Args:
        width: 0.5, 1.0, 1.5 or 2.0.
        norm_layer: makes the normalisation from a number of channels.
    """

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

    def classifier_head(self, num_classes: int) -> nn.Module:
        return nn.Sequential(
            ConvNormAct(self.feature_info[-1].channels, self.head_channels, norm_layer=self.norm_layer),
            *pooled_classifier(self.head_channels, num_classes),
        )
