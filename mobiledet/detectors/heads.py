"""Prediction heads of dense detectors: from feature maps of several levels to class logits and box offsets."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobiledet.detectors.base import RawOutputs
from mobiledet.layers import ConvNormAct, NormLayer, ReLU6


class SSDLiteHead(nn.Module):
    """SSDLite's head (MobileNetV2, arXiv:1801.04381, section 6.2): for every level a 3x3 depthwise convolution with
    normalisation and ReLU6, then a 1x1 convolution, once for the classes and once for the boxes.

    Args:
        channels: channels of each level.
        anchors_per_cell: number of anchors per cell of each level.
        num_logits: number of logits per anchor.
        norm_layer: makes the normalisation layer from a number of channels.
        separable: whether to use the depthwise convolutions; without them the head has only the 1x1 convolutions, as
            in TensorFlow's SSD on MobileNetV1.
    """

    def __init__(
        self,
        channels: Sequence[int],
        anchors_per_cell: Sequence[int],
        num_logits: int,
        norm_layer: NormLayer,
        separable: bool = True,
    ) -> None:
        super().__init__()
        self.num_logits = num_logits
        pairs = list(zip(channels, anchors_per_cell, strict=True))
        make = _separable_layer if separable else _plain_layer
        self.classes = nn.ModuleList(make(c, a * num_logits, norm_layer) for c, a in pairs)
        self.boxes = nn.ModuleList(make(c, a * 4, norm_layer) for c, a in pairs)

    def forward(self, features: Sequence[Tensor]) -> RawOutputs:
        """Maps of the levels, N x C x H_i x W_i, to N x A x L logits and N x A x 4 deltas."""
        logits = [layer(feature) for layer, feature in zip(self.classes, features, strict=True)]
        deltas = [layer(feature) for layer, feature in zip(self.boxes, features, strict=True)]
        return RawOutputs(flatten_levels(logits, self.num_logits), flatten_levels(deltas, 4))


def _plain_layer(in_channels: int, out_channels: int, norm_layer: NormLayer) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1))


def _separable_layer(in_channels: int, out_channels: int, norm_layer: NormLayer) -> nn.Sequential:
    return nn.Sequential(
        ConvNormAct(in_channels, in_channels, 3, 1, in_channels, norm_layer, ReLU6),
        nn.Conv2d(in_channels, out_channels, 1),
    )


class PyramidHead(nn.Module):
    """A head with weights shared by all levels of a pyramid, as in RetinaNet (arXiv:1708.02002), with depthwise
    separable convolutions and separate normalisation for each level.

    Shared weights learn from objects of all sizes, which gives a higher mAP than separate weights for each level.

    Args:
        channels: channels of every level.
        levels: number of levels.
        anchors_per_cell: number of anchors per cell, the same on every level.
        num_logits: number of logits per anchor.
        norm_layer: makes the normalisation layer from a number of channels.
        depth: number of blocks before the predictions.
    """

    def __init__(
        self, channels: int, levels: int, anchors_per_cell: int, num_logits: int, norm_layer: NormLayer, depth: int = 2
    ) -> None:
        super().__init__()
        self.num_logits = num_logits
        self.tower = nn.Sequential(*(SharedBlock(channels, levels, norm_layer) for _ in range(depth)))
        self.classes = nn.Conv2d(channels, anchors_per_cell * num_logits, 1)
        self.boxes = nn.Conv2d(channels, anchors_per_cell * 4, 1)

    def forward(self, features: Sequence[Tensor]) -> RawOutputs:
        """Maps of the levels, N x C x H_i x W_i, to N x A x L logits and N x A x 4 deltas."""
        features = self.tower(features)
        return RawOutputs(
            flatten_levels([self.classes(feature) for feature in features], self.num_logits),
            flatten_levels([self.boxes(feature) for feature in features], 4),
        )


class SharedBlock(nn.Module):
    """A 5x5 depthwise separable convolution shared by all levels, with separate normalisation for each level."""

    def __init__(self, channels: int, levels: int, norm_layer: NormLayer) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.depthwise_norms = nn.ModuleList(norm_layer(channels) for _ in range(levels))
        self.pointwise_norms = nn.ModuleList(norm_layer(channels) for _ in range(levels))

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Maps of the levels to maps of the same shapes."""
        outputs = []
        for feature, first, second in zip(features, self.depthwise_norms, self.pointwise_norms, strict=True):
            hidden = F.relu(first(self.depthwise(feature)), inplace=True)
            outputs.append(F.relu(second(self.pointwise(hidden)), inplace=True))
        return outputs


def flatten_levels(maps: list[Tensor], width: int) -> Tensor:
    """N x (a * width) x H x W maps to N x A x width, rows before columns before the anchors of a cell."""
    return torch.cat([m.permute(0, 2, 3, 1).reshape(m.shape[0], -1, width) for m in maps], dim=1)
