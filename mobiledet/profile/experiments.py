"""The four controlled experiments of ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design
(arXiv:1807.11164, section 2, tables 1 to 4), as networks.

Within an experiment all networks have the same multiply-adds, up to the rounding to whole channels (in G4 exactly). Ten
units are stacked, on maps of 56 x 56, with the paper's channels for ARM, first column. Choices that the paper does not
specify: every convolution has a bias and, except in G4, a ReLU, which runtimes fuse into the convolution; parallel
fragments are added.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

UNITS = 10
SIDE = 56


@dataclass(frozen=True)
class Variant:
    """One network of an experiment.

    Attributes:
        label: label in the paper's table.
        build: builds the network.
        channels: number of input channels.
        paper: images per second on ARM in the paper.
    """

    label: str
    build: Callable[[], nn.Module]
    channels: int
    paper: float


@dataclass(frozen=True)
class Experiment:
    """Networks of equal cost that differ in the property that a guideline is about.

    Attributes:
        guideline: ``G1`` to ``G4``.
        title: short name of the guideline.
        question: the property that differs.
        variants: networks, from the one that the guideline recommends to the one that it advises against most.
    """

    guideline: str
    title: str
    question: str
    variants: tuple[Variant, ...]


class Parallel(nn.Module):
    """Parallel fragments whose outputs are added."""

    def __init__(self, *fragments: nn.Module) -> None:
        super().__init__()
        self.fragments = nn.ModuleList(fragments)

    def forward(self, x: Tensor) -> Tensor:
        """The sum of the outputs of all fragments for the same input."""
        first, *others = self.fragments
        total: Tensor = first(x)
        for fragment in others:
            total = total + fragment(x)
        return total


class Bottleneck(nn.Module):
    """ResNet's unit: 1x1, 3x3 and 1x1 convolution; with or without ReLU and shortcut."""

    def __init__(self, channels: int, relu: bool, shortcut: bool) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(nn.Conv2d(channels, channels, size, padding=size // 2) for size in (1, 3, 1))
        self.relu = relu
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to maps of the same shape."""
        first, second, third = self.convolutions
        y: Tensor = third(self._activate(second(self._activate(first(x)))))
        return self._activate(x + y if self.shortcut else y)

    def _activate(self, x: Tensor) -> Tensor:
        return F.relu(x) if self.relu else x


def pointwise(in_channels: int, out_channels: int, groups: int = 1) -> nn.Module:
    """A 1x1 convolution with ReLU."""
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, groups=groups), nn.ReLU())


def stack(unit: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    """What makes ten units in a row."""
    return lambda: nn.Sequential(*(unit() for _ in range(UNITS)))


def _ratio(label: str, narrow: int, wide: int, paper: float) -> Variant:
    unit = stack(lambda: nn.Sequential(pointwise(narrow, wide), pointwise(wide, narrow)))
    return Variant(label, unit, narrow, paper)


def _groups(groups: int, channels: int, paper: float) -> Variant:
    label = f"{groups} group" + ("s" if groups > 1 else "")
    return Variant(label, stack(lambda: pointwise(channels, channels, groups)), channels, paper)


def _fragments(label: str, count: int, parallel: bool, channels: int, paper: float) -> Variant:
    arrange = Parallel if parallel else nn.Sequential
    unit = stack(lambda: arrange(*(pointwise(channels, channels) for _ in range(count))))
    return Variant(label, unit, channels, paper)


def _bottleneck(label: str, relu: bool, shortcut: bool, paper: float) -> Variant:
    return Variant(label, stack(lambda: Bottleneck(32, relu, shortcut)), 32, paper)


EXPERIMENTS = (
    Experiment(
        "G1",
        "equal channel widths",
        "channels before : after a 1x1 convolution",
        (
            _ratio("1:1", 32, 32, 76.2),
            _ratio("1:2", 22, 44, 72.9),
            _ratio("1:6", 13, 78, 69.1),
            _ratio("1:12", 9, 108, 57.6),
        ),
    ),
    Experiment(
        "G2",
        "few groups",
        "groups of a 1x1 convolution",
        # the paper prints 180 channels for 8 groups, which do not divide
        (_groups(1, 64, 40.0), _groups(2, 90, 35.0), _groups(4, 128, 32.9), _groups(8, 184, 27.8)),
    ),
    Experiment(
        "G3",
        "little fragmentation",
        "1x1 convolutions of a unit",
        (
            _fragments("1 fragment", 1, False, 64, 40.2),
            _fragments("2 in series", 2, False, 45, 38.6),
            _fragments("4 in series", 4, False, 32, 38.4),
            _fragments("2 in parallel", 2, True, 45, 33.4),
            _fragments("4 in parallel", 4, True, 32, 35.0),
        ),
    ),
    Experiment(
        "G4",
        "few element-wise operations",
        "added to the convolutions of ResNet's bottleneck unit",
        (
            _bottleneck("neither", False, False, 66.3),
            _bottleneck("ReLU", True, False, 61.9),
            _bottleneck("shortcut", False, True, 57.3),
            _bottleneck("ReLU and shortcut", True, True, 56.7),
        ),
    ),
)
