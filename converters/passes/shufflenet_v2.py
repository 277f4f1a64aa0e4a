"""ShuffleNetV2 (arXiv:1807.11164) without channel shuffles: the weights know where each channel comes from.

A channel of a stage is made by one convolution and read by one later unit, or leaves the stage. If every convolution
gives the channels of one reader beside each other, a unit's input is a concatenation of slices, and each channel is
moved once, however many shuffles it passes in between.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from mobiledet.backbones.shuffle_order import channel_lives
from mobiledet.backbones.shufflenet_v2 import ShuffleNetV2
from mobiledet_converters.passes.channel_order import OrderAbsorber, permute_inputs, permute_outputs

MOST_PIECES = 5  # that XNNPACK concatenates


class StageWithoutShuffles(nn.Module):
    """The same maps as the stage, their channels in another order.

    Args:
        stage: of a ``ShuffleNetV2`` without normalisations; its weights are changed.

    Attributes:
        order: output channel i is channel ``order[i]`` of the stage.
    """

    def __init__(self, stage: nn.Sequential) -> None:
        super().__init__()
        units: list[Any] = list(stage)
        first = units[0]
        branches = [unit.branch for unit in units]
        self.shortcut = first.shortcut
        self.branches = nn.ModuleList(branches)
        makers = [first.shortcut[-1][0], *(branch[-1][0] for branch in branches)]
        half = makers[0].out_channels
        self.exit = len(stage)  # the reader of what leaves the stage
        reader, place = channel_lives(2 * half, len(stage))
        self.shares = []  # of each maker: numbers of channels by reader
        read: list[list[Tensor]] = [[] for _ in range(self.exit + 1)]
        for maker, readers, places in zip(makers, reader.split(half), place.split(half), strict=True):
            order = readers.argsort(stable=True)
            permute_outputs(maker, order)
            share = {unit: int((readers == unit).sum()) for unit in readers.unique().tolist()}
            self.shares.append(share)
            for unit, members in zip(share, places[order].split(list(share.values())), strict=True):
                read[unit].append(members)
        for branch, places_read in zip(branches[1:], read[1:-1], strict=True):
            permute_inputs(branch[0][0], torch.cat(places_read))
        self.order = torch.cat(read[-1])

    def forward(self, x: Tensor) -> Tensor:
        waiting: list[list[Tensor]] = [[] for _ in range(self.exit + 1)]

        def hand_out(made: Tensor, share: dict[int, int]) -> None:
            start = 0
            for unit, channels in share.items():
                waiting[unit].append(made[:, start : start + channels])
                start += channels

        first_share, *shares = self.shares
        hand_out(self.shortcut(x), first_share)
        for number, (branch, share) in enumerate(zip(self.branches, shares, strict=True)):
            hand_out(branch(concatenate(waiting[number]) if number else x), share)
        return concatenate(waiting[self.exit])


def concatenate(pieces: list[Tensor]) -> Tensor:
    """All channels, never more than ``MOST_PIECES`` at once: the first pieces, which are the smallest, move twice."""
    while len(pieces) > MOST_PIECES:
        pieces = [torch.cat(pieces[:MOST_PIECES], dim=1), *pieces[MOST_PIECES:]]
    return torch.cat(pieces, dim=1)


def remove_shuffles_v2(model: nn.Module, example: Tensor) -> nn.Module:
    """Replace the stages of every ShuffleNetV2; what reads them has its weights permuted."""
    if not any(isinstance(module, ShuffleNetV2) for module in model.modules()):
        return model
    model = copy.deepcopy(model).eval()  # a copy of a traced network starts in training
    absorber = OrderAbsorber(model)
    for backbone in [module for module in model.modules() if isinstance(module, ShuffleNetV2)]:
        for index, stage in enumerate(backbone.stages):
            assert isinstance(stage, nn.Sequential)
            backbone.stages[index] = replacement = StageWithoutShuffles(stage)
            absorber.follow(replacement, replacement.order)
    absorber.run(example)
    return model
