"""A small feature pyramid in depthwise separable form, after Feature Pyramid Networks (arXiv:1612.03144).

Deviations for phones: smoothing is a 5x5 depthwise separable convolution, and levels coarser than the backbone's come
from stride-2 depthwise separable convolutions.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from mobiledet.backbones import FeatureInfo
from mobiledet.layers import ConvNormAct, NormLayer, depthwise_separable


class FeaturePyramid(nn.Module):
    """Converts feature maps to equal channels and adds coarse context to fine maps.

    Args:
        feature_info: the backbone's maps, finest first, each half the size of the one before.
        channels: channels of every output map.
        extra_levels: number of maps added beyond the coarsest, each half the size of the one before.
        norm_layer: makes the normalisation layer from a number of channels.
    """

    def __init__(
        self, feature_info: Sequence[FeatureInfo], channels: int, extra_levels: int, norm_layer: NormLayer
    ) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(
            ConvNormAct(info.channels, channels, norm_layer=norm_layer) for info in feature_info
        )
        self.smooth = nn.ModuleList(
            depthwise_separable(channels, channels, 5, norm_layer=norm_layer) for _ in feature_info
        )
        self.extra = nn.ModuleList(
            depthwise_separable(channels, channels, 5, 2, norm_layer) for _ in range(extra_levels)
        )
        self.enlarge = nn.Upsample(scale_factor=2.0, mode="nearest")

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Maps of the backbone, N x C_i x H_i x W_i, to maps with equal channels."""
        maps = [lateral(feature) for lateral, feature in zip(self.lateral, features, strict=True)]
        for fine in range(len(maps) - 2, -1, -1):
            maps[fine] = maps[fine] + self.enlarge(maps[fine + 1])
        maps = [smooth(feature) for smooth, feature in zip(self.smooth, maps, strict=True)]
        for extra in self.extra:
            maps.append(extra(maps[-1]))
        return maps
