"""Heads that predict boxes as distributions of distances: NanoDet-Plus' head, and the larger one that guides its
training.

There is no paper; the source is the authors' code (RangiLyu/nanodet, model/head/nanodet_plus_head.py and
simple_conv_head.py) with the settings of config/nanodet-plus-m_320.yml.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mobiledet.detectors.heads import flatten_levels
from mobiledet.layers import ActivationLayer, NormLayer, depthwise_separable

GROUPS = 32  # of the group normalisation in the guide head
GUIDE_DEPTH = 4  # number of its convolutions before the predictions


class DistributionOutputs(NamedTuple):
    """Outputs of the heads.

    Attributes:
        class_logits: N x A x C, logits of sigmoid scores.
        distance_logits: N x A x (4 * bins), left, top, right, bottom (``ops.distances``).
    """

    class_logits: Tensor
    distance_logits: Tensor


class DistributionHead(nn.Module):
    """Two 5x5 depthwise separable convolutions, then 1x1 convolutions, with separate weights for each level.

    The authors' last convolution is split in two, one for classes and one for distances, so that the two do not share
    the scale of a quantised tensor.

    Args:
        levels: number of levels.
        channels: channels of every level.
        num_classes: number of classes, without background.
        bins: number of bins of a distance.
        norm_layer: makes the normalisation layer from a number of channels.
        activation: makes the activation layer.
    """

    def __init__(
        self,
        levels: int,
        channels: int,
        num_classes: int,
        bins: int,
        norm_layer: NormLayer,
        activation: ActivationLayer,
    ) -> None:
        super().__init__()
        self.num_classes, self.bins = num_classes, bins

        def block() -> nn.Sequential:
            return depthwise_separable(channels, channels, 5, norm_layer=norm_layer, activation=activation)

        self.towers = nn.ModuleList(nn.Sequential(block(), block()) for _ in range(levels))
        self.classes = nn.ModuleList(nn.Conv2d(channels, num_classes, 1) for _ in range(levels))
        self.distances = nn.ModuleList(nn.Conv2d(channels, 4 * bins, 1) for _ in range(levels))

    def forward(self, features: Sequence[Tensor]) -> DistributionOutputs:
        """Maps of the levels, N x C x H_i x W_i, to logits of classes and distances for all positions."""
        hidden = [tower(feature) for tower, feature in zip(self.towers, features, strict=True)]
        return DistributionOutputs(
            flatten_levels([layer(h) for layer, h in zip(self.classes, hidden, strict=True)], self.num_classes),
            flatten_levels([layer(h) for layer, h in zip(self.distances, hidden, strict=True)], 4 * self.bins),
        )


class GuideHead(nn.Module):
    """Four 3x3 convolutions each for classes and distances, with group normalisation and weights shared by all levels;
    the distances of each level are scaled by a learned factor.

    Args:
        levels: number of levels.
        channels: channels of every level, a multiple of ``GROUPS``.
        num_classes: number of classes, without background.
        bins: number of bins of a distance.
        activation: makes the activation layer.
    """

    def __init__(self, levels: int, channels: int, num_classes: int, bins: int, activation: ActivationLayer) -> None:
        super().__init__()
        self.num_classes, self.bins = num_classes, bins

        def tower() -> nn.Sequential:
            return nn.Sequential(
                *(
                    nn.Sequential(
                        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                        nn.GroupNorm(GROUPS, channels),
                        activation(),
                    )
                    for _ in range(GUIDE_DEPTH)
                )
            )

        self.class_tower, self.distance_tower = tower(), tower()
        self.classes = nn.Conv2d(channels, num_classes, 3, padding=1)
        self.distances = nn.Conv2d(channels, 4 * bins, 3, padding=1)
        self.factors = nn.Parameter(torch.ones(levels))

    def forward(self, features: Sequence[Tensor]) -> DistributionOutputs:
        """Maps of the levels, N x C x H_i x W_i, to logits of classes and distances for all positions."""
        distances = [
            self.distances(self.distance_tower(feature)) * factor
            for feature, factor in zip(features, self.factors, strict=True)
        ]
        classes = [self.classes(self.class_tower(feature)) for feature in features]
        return DistributionOutputs(flatten_levels(classes, self.num_classes), flatten_levels(distances, 4 * self.bins))
