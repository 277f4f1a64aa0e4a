"""Nearest-neighbour upsampling by concatenation.

XNNPACK has no nearest-neighbour upsampling, so a feature pyramid would be split into a partition for each level. In
TFLite's layout a map is doubled by two concatenations and reshapes, which do not move data.
"""

import copy

import torch
from torch import Tensor, nn


class DoubledByConcatenation(nn.Module):
    """Nearest-neighbour upsampling, N x C x H x W to N x C x 2H x 2W."""

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x C x 2H x 2W."""
        images, channels, height, width = x.shape
        pixels = x.permute(0, 2, 3, 1)
        rows = torch.cat((pixels, pixels), dim=3).reshape(images, height, 2 * width * channels)
        doubled = torch.cat((rows, rows), dim=2).reshape(images, 2 * height, 2 * width, channels)
        return doubled.permute(0, 3, 1, 2)


def double_by_concatenation(model: nn.Module, example: Tensor) -> nn.Module:
    """Replace every layer that upsamples by a factor of 2 with nearest neighbours."""
    model = copy.deepcopy(model).eval()  # a copy of a traced network starts in training
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Upsample) and child.mode == "nearest" and child.scale_factor in (2, (2, 2)):
                setattr(parent, name, DoubledByConcatenation())
    return model
