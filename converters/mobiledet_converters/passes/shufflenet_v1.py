"""ShuffleNetV1's channel shuffle (arXiv:1707.01083) as one transposition of blocks.

The shuffle connects the groups of two grouped convolutions, so the weights alone cannot absorb it. But the order within
a group is free: if the channels that one group passes to another are adjacent, the shuffle transposes g x g blocks
instead of single channels. Shorter blocks are padded with zero channels. If the first convolution has no groups, its
weights absorb the shuffle.

Measured in LiteRT on one thread of an AMD EPYC at 1x and 320 pixels, relative to the same network without any shuffle:
blocks 1.06 with three groups and 1.03 with two, single channels 1.07 and 1.10. With eight groups the padding costs more
than the blocks save, 1.20 against 1.04. Slices and concatenations, 1.11, and one convolution for each reading group,
1.12, are not faster.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from mobiledet.backbones.shufflenet_v1 import Branch

MAX_PADDING = 1.1  # largest ratio of channels with padding to channels; above it, single channels are shuffled


class BlockBranch(nn.Module):
    """Computes the same maps as a branch, with a shuffle of blocks.

    The shuffle comes after the depthwise convolution, where a stride of 2 leaves a quarter of the values.

    Args:
        branch: a branch without batch normalisation, with more than one group in both of its 1x1 convolutions.
        blocks: see ``_blocks``.
    """

    def __init__(self, branch: Branch, blocks: Tensor) -> None:
        super().__init__()
        self.groups = groups = branch.groups
        parts: list[Any] = [branch.reduce, branch.depthwise, branch.expand]
        reduce, depthwise, expand = (part[0] for part in parts)
        self.block = blocks.shape[2]
        made_by, read_by = blocks.flatten(), blocks.transpose(0, 1).flatten()
        shuffled = torch.arange(reduce.out_channels).view(groups, -1).t().flatten()  # see layers.channel_shuffle
        place = torch.cat((shuffled.argsort(), torch.tensor([-1])))  # where the shuffle puts a channel
        self.reduce = nn.Sequential(_with_outputs(reduce, made_by, reduce.groups), branch.reduce[-1])
        self.depthwise = _with_outputs(depthwise, place[made_by], len(made_by))
        self.expand = _with_inputs(expand, place[read_by])

    def forward(self, x: Tensor) -> Tensor:
        """As ``Branch.forward``."""
        x = self.depthwise(self.reduce(x))
        images, channels, height, width = x.shape
        x = x.permute(0, 2, 3, 1).reshape(images * height * width, self.groups, self.groups, self.block)
        x = x.transpose(1, 2).reshape(images, height, width, channels).permute(0, 3, 1, 2)
        made: Tensor = self.expand(x)
        return made


class AbsorbedBranch(nn.Sequential):
    """Computes the same maps as a branch whose first convolution has no groups, with its outputs in shuffled order.

    Args:
        branch: a branch without batch normalisation.
    """

    def __init__(self, branch: Branch) -> None:
        parts: list[Any] = [branch.reduce, branch.depthwise, branch.expand]
        reduce, depthwise, expand = (part[0] for part in parts)
        shuffled = torch.arange(reduce.out_channels).view(branch.groups, -1).t().flatten()
        super().__init__(_with_outputs(reduce, shuffled, 1), branch.reduce[-1], depthwise, expand)


def _blocks(groups: int, width: int) -> Tensor:
    """The channels that each group of ``width`` passes to each group: from x to x block, padded with -1."""
    channel = torch.arange(groups * width).view(groups, width)
    reader = (torch.arange(width).view(1, -1) * groups + torch.arange(groups).view(-1, 1)) // width
    lists = [[channel[i][reader[i] == j] for j in range(groups)] for i in range(groups)]
    longest = max(len(block) for row in lists for block in row)
    blocks = torch.full((groups, groups, longest), -1)
    for i, row in enumerate(lists):
        for j, block in enumerate(row):
            blocks[i, j, : len(block)] = block
    return blocks


def _with_outputs(conv: nn.Conv2d, order: Tensor, groups: int) -> nn.Conv2d:
    """A copy of a convolution whose output i is the former output ``order[i]``, or zeros for -1."""
    made = copy.deepcopy(conv)
    made.out_channels, made.groups = len(order), groups
    if conv.groups == conv.in_channels:  # depthwise
        made.in_channels = len(order)
    made.weight = nn.Parameter(_rows(conv.weight, order))
    made.bias = nn.Parameter(_rows(conv.bias, order)) if conv.bias is not None else None
    return made


def _with_inputs(conv: nn.Conv2d, order: Tensor) -> nn.Conv2d:
    """A copy of a grouped convolution whose input i is the former input ``order[i]``, or ignored for -1."""
    made = copy.deepcopy(conv)
    made.in_channels = len(order)
    columns = (order.view(conv.groups, -1) % conv.weight.shape[1]).where(order.view(conv.groups, -1) >= 0, -1)
    weights = conv.weight.view(conv.groups, -1, *conv.weight.shape[1:])
    permuted = [
        _rows(weight.transpose(0, 1), own).transpose(0, 1) for weight, own in zip(weights, columns, strict=True)
    ]
    made.weight = nn.Parameter(torch.cat(permuted))
    return made


def _rows(tensor: Tensor, order: Tensor) -> Tensor:
    """Rows ``order`` of a tensor, zeros for -1."""
    padded = torch.cat((tensor.detach(), torch.zeros_like(tensor[:1])))
    return padded[order]


def shuffle_blocks_v1(model: nn.Module, example: Tensor) -> nn.Module:
    """Replace the branches of every ShuffleNetV1 that shuffle, where that saves time.

    Branches in the order of the authors' released weights are kept; they need one transposition each.
    """
    model = copy.deepcopy(model).eval()  # a copy of a traced network starts in training
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Branch) and child.groups > 1 and not child.released:
                setattr(parent, name, _without_shuffle(child))
    return model


def _without_shuffle(branch: Branch) -> nn.Module:
    """The fastest form of a branch."""
    reduce = branch.reduce[0]
    assert isinstance(reduce, nn.Conv2d)
    if reduce.groups == 1:
        return AbsorbedBranch(branch)
    blocks = _blocks(branch.groups, reduce.out_channels // branch.groups)
    return BlockBranch(branch, blocks) if blocks.numel() <= MAX_PADDING * reduce.out_channels else branch
