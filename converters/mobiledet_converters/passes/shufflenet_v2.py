"""ShuffleNetV2 (arXiv:1807.11164) without channel shuffles: the weights are permuted instead.

A channel of a stage is written by one convolution and read by one later unit, or leaves the stage. If every convolution
places the channels of one reader next to each other, a unit's input is a concatenation of slices, and each channel is
moved once, however many shuffles it passes in between.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from mobiledet.backbones.shuffle_order import trace_channels
from mobiledet.backbones.shufflenet_v2 import ShuffleNetV2
from mobiledet_converters.passes.channel_order import OrderAbsorber, permute_inputs, permute_outputs

MAX_PIECES = 5  # that XNNPACK can concatenate
MERGED = 3  # number of oldest sources that are merged if there would be more

Share = dict[int, int]  # number of channels for each reading unit, in the order of the channels


class StageWithoutShuffles(nn.Module):
    """Computes the same maps as a stage, with the channels in another order.

    Where a unit would read from more than ``MAX_PIECES`` convolutions, the remaining channels of the oldest ones are
    merged by a 1x1 convolution that only permutes. Two concatenations in a row would not help, because the converter
    joins them.

    Args:
        stage: stage of a ``ShuffleNetV2`` without batch normalisation; its weights are changed.

    Attributes:
        order: output channel i is channel ``order[i]`` of the stage.
    """

    def __init__(self, stage: nn.Sequential) -> None:
        super().__init__()
        units: list[Any] = list(stage)
        branches = [unit.branch for unit in units]
        self.shortcut = units[0].shortcut
        self.branches = nn.ModuleList(branches)
        makers = [self.shortcut[-1][0], *(branch[-1][0] for branch in branches)]
        sizes = [maker.out_channels for maker in makers]
        self.exit = len(stage)  # stands for the reader of the stage's output
        reader, place = trace_channels(sizes[0] + sizes[1], len(stage), as_in_paper=not units[0].released)
        self.shares: list[Share] = []
        sources: list[dict[int, Tensor]] = []  # places where the channels of each open source are read, by reader
        for maker, readers, places in zip(makers, reader.split(sizes), place.split(sizes), strict=True):
            order = readers.argsort(stable=True)
            permute_outputs(maker, order)
            self.shares.append({unit: int((readers == unit).sum()) for unit in readers.unique().tolist()})
            sources.append(_by_reader(places[order], self.shares[-1]))

        self.merge_before: dict[int, Merge] = {}  # by the unit that would read from too many sources
        open_sources = sources[:2]
        for unit in range(1, self.exit + 1):
            open_sources = [source for source in open_sources if max(source) >= unit]
            if sum(unit in source for source in open_sources) > MAX_PIECES:
                oldest, open_sources = open_sources[:MERGED], open_sources[MERGED:]
                merge = Merge([{u: len(p) for u, p in source.items() if u >= unit} for source in oldest])
                self.merge_before[unit] = merge
                open_sources.insert(0, {u: torch.cat([s[u] for s in oldest if u in s]) for u in merge.share})
            read = torch.cat([source[unit] for source in open_sources if unit in source])
            if unit < self.exit:
                permute_inputs(branches[unit][0][0], read)
                open_sources.append(sources[unit + 1])
        self.order = read
        self.merges = nn.ModuleList(self.merge_before.values())

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x C' x H/2 x W/2, rounded up."""
        made = [(self.shortcut(x), self.shares[0]), (self.branches[0](x), self.shares[1])]
        for unit in range(1, self.exit + 1):
            made = [(tensor, share) for tensor, share in made if max(share) >= unit]
            if unit in self.merge_before:
                merge = self.merge_before[unit]
                oldest = [_channels_read_from(tensor, share, unit) for tensor, share in made[:MERGED]]
                made = [(merge(oldest), merge.share), *made[MERGED:]]
            read = torch.cat([_channels_read_by(tensor, share, unit) for tensor, share in made if unit in share], dim=1)
            if unit < self.exit:
                made.append((self.branches[unit](read), self.shares[unit + 1]))
        return read


class Merge(nn.Module):
    """Merges the remaining channels of several sources, sorted by reader.

    Args:
        shares: share of each source, with future readers only.

    Attributes:
        share: share of the merged tensor.
    """

    def __init__(self, shares: list[Share]) -> None:
        super().__init__()
        readers = torch.tensor([unit for share in shares for unit, count in share.items() for _ in range(count)])
        order = readers.argsort(stable=True)
        self.share: Share = {unit: int((readers == unit).sum()) for unit in readers.unique().tolist()}
        self.sort = nn.Conv2d(len(order), len(order), 1, bias=False)
        self.sort.weight = nn.Parameter(torch.eye(len(order))[order].view(len(order), -1, 1, 1), requires_grad=False)

    def forward(self, pieces: list[Tensor]) -> Tensor:
        """Maps of N x C_i x H x W to N x sum(C_i) x H x W."""
        merged: Tensor = self.sort(torch.cat(pieces, dim=1))
        return merged


def _by_reader(places: Tensor, share: Share) -> dict[int, Tensor]:
    return dict(zip(share, places.split(list(share.values())), strict=True))


def _channels_read_by(tensor: Tensor, share: Share, unit: int) -> Tensor:
    """The channels that a unit reads."""
    start = sum(count for reader, count in share.items() if reader < unit)
    return tensor[:, start : start + share[unit]]


def _channels_read_from(tensor: Tensor, share: Share, unit: int) -> Tensor:
    """The channels that this unit and later units read."""
    return tensor[:, sum(count for reader, count in share.items() if reader < unit) :]


def remove_shuffles_v2(model: nn.Module, example: Tensor) -> nn.Module:
    """Replace the stages of every ShuffleNetV2, and permute the weights of the layers that read them."""
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
