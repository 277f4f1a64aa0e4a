"""Doubled maps as concatenations.

XNNPACK has no nearest-neighbour enlargement, so that a pyramid falls into a part for each of its levels. In the layout
of TFLite a map is doubled by two concatenations of what lies in memory already, and the rest is a matter of naming.
"""

import copy

import torch
from torch import Tensor, nn


class DoubledByConcatenation(nn.Module):
    """N x C x H x W to N x C x 2H x 2W, each number four times."""

    def forward(self, x: Tensor) -> Tensor:
        images, channels, height, width = x.shape
        pixels = x.permute(0, 2, 3, 1)
        rows = torch.cat((pixels, pixels), dim=3).reshape(images, height, 2 * width * channels)
        doubled = torch.cat((rows, rows), dim=2).reshape(images, 2 * height, 2 * width, channels)
        return doubled.permute(0, 3, 1, 2)


def double_by_concatenation(model: nn.Module, example: Tensor) -> nn.Module:
    """Replace every layer that doubles a map by its nearest neighbours."""
    model = copy.deepcopy(model).eval()  # a copy of a traced network starts in training
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Upsample) and child.mode == "nearest" and child.scale_factor in (2, (2, 2)):
                setattr(parent, name, DoubledByConcatenation())
    return model
