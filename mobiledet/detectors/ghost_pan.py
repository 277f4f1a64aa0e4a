"""Ghost-PAN, the neck of NanoDet-Plus: a path aggregation network (arXiv:1803.01534) of Ghost bottlenecks
(arXiv:1911.11907).

There is no paper; the source is the authors' code (RangiLyu/nanodet, model/fpn/ghost_pan.py) with the settings of
config/nanodet-plus-m_320.yml: one bottleneck where two maps are joined, a 5x5 depthwise convolution in its shortcut, no
squeeze-and-excitation, and one level beyond the backbone's.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mobiledet.backbones import FeatureInfo
from mobiledet.backbones.ghostnet import GhostBottleneck
from mobiledet.layers import ActivationLayer, ConvNormAct, NormLayer, depthwise_separable

KERNEL_SIZE = 5


class GhostPAN(nn.Module):
    """Converts feature maps to equal channels, passes context from coarse to fine maps and details from fine to coarse
    ones.

    Args:
        feature_info: the backbone's maps, finest first, each half the size of the one before.
        channels: channels of every output map.
        norm_layer: makes the normalisation layer from a number of channels.
        activation: makes the activation layer.
    """

    def __init__(
        self, feature_info: Sequence[FeatureInfo], channels: int, norm_layer: NormLayer, activation: ActivationLayer
    ) -> None:
        super().__init__()

        def join() -> GhostBottleneck:
            return GhostBottleneck(2 * channels, channels, channels, KERNEL_SIZE, False, 1, norm_layer, activation)

        def halve() -> nn.Sequential:
            return depthwise_separable(channels, channels, KERNEL_SIZE, 2, norm_layer, activation)

        joins = len(feature_info) - 1
        self.reduce = nn.ModuleList(
            ConvNormAct(info.channels, channels, norm_layer=norm_layer, activation=activation) for info in feature_info
        )
        self.enlarge = nn.Upsample(scale_factor=2.0, mode="bilinear")
        self.top_down = nn.ModuleList(join() for _ in range(joins))
        self.downsample = nn.ModuleList(halve() for _ in range(joins))
        self.bottom_up = nn.ModuleList(join() for _ in range(joins))
        self.extra_from_reduced = halve()
        self.extra_from_output = halve()

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """One map for each of the backbone's, and one of half the size of the coarsest, rounded up."""
        reduced = [reduce(feature) for reduce, feature in zip(self.reduce, features, strict=True)]
        joined = [reduced[-1]]  # coarsest first
        for join, fine in zip(self.top_down, reversed(reduced[:-1]), strict=True):
            joined.append(join(torch.cat((self.enlarge(joined[-1]), fine), dim=1)))
        maps = [joined.pop()]
        for join, downsample, coarse in zip(self.bottom_up, self.downsample, reversed(joined), strict=True):
            maps.append(join(torch.cat((downsample(maps[-1]), coarse), dim=1)))
        maps.append(self.extra_from_reduced(reduced[-1]) + self.extra_from_output(maps[-1]))
        return maps
