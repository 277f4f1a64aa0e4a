"""What coarser numbers do to a detector: they round, and a detector that ranks proposals then takes others."""

import copy
from collections.abc import Callable, Sequence
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor, nn

from mobiledet.detectors import Detector
from mobiledet.matching import Tolerance, compare_lists
from mobiledet_converters.parity import ParityReport, compare, worst
from mobiledet_converters.precisions import RoundingKind
from mobiledet_converters.raw_outputs import difference
from mobiledet_converters.reference import Reference, make_reference

LARGEST_INTEGER = 127


class Rounding:
    """What PyTorch finds in the images of a reference when it rounds, in several ways.

    ``half`` is 16-bit arithmetic; ``weights`` have 8 bits, and with ``activations`` the results of layers, too: that is
    the least that files of integers do. Computed once, when it is first asked for: files of 32 bits do not need it.

    Args:
        detector: in evaluation mode.
        reference: what it finds in 32 bits.
        postprocess: see ``make_reference``.
    """

    def __init__(self, detector: Detector, reference: Reference, postprocess: str = "graph") -> None:
        self._detector = detector
        self._reference = reference
        self._postprocess = postprocess
        self._reports: dict[tuple[RoundingKind, Tolerance], ParityReport] = {}  # shared by files of one gate
        self._ways: dict[RoundingKind, Sequence[Reference]] = {}

    def ways(self, kind: RoundingKind = "half") -> Sequence[Reference]:
        """What each way finds."""
        if kind not in self._ways:
            reference, (count, rounded) = self._reference, WAYS[kind]
            self._ways[kind] = [
                make_reference(rounded(self._detector, seed), reference.spec, reference.inputs, self._postprocess)
                for seed in range(count)
            ]
        return self._ways[kind]

    @cached_property
    def sqnr_db(self) -> float:
        """How far the head's outputs are above what the worst of the ways to compute in 16 bits does, in decibels."""
        return min(
            difference(values, way.raw[name]).sqnr_db
            for way in self.ways()
            for name, values in self._reference.raw.items()
        )

    def report(self, tolerance: Tolerance, kind: RoundingKind = "half") -> ParityReport:
        """The most by which one of the ways differs from 32 bits."""
        if (kind, tolerance) not in self._reports:
            reference = self._reference
            self._reports[kind, tolerance] = worst(
                compare(reference.detections, way.detections, reference.cuts, reference.spec.nms, tolerance)
                for way in self.ways(kind)
            )
        return self._reports[kind, tolerance]

    def differing(self, image: int, tolerance: Tolerance) -> int:
        """Detections of an image that 16-bit arithmetic changes at worst."""
        ours, nms, cut = self._reference.detections[image], self._reference.spec.nms, self._reference.cuts[image]
        return max(compare_lists(ours, way.detections[image], cut, nms, tolerance).differing for way in self.ways())


def round_to_float16(detector: Detector, seed: int = 0) -> Detector:
    """A copy that computes as a GPU with 16-bit numbers would, up to the order of sums: weights and the results of
    convolutions and fully connected layers are rounded. In 32-bit arithmetic, because a CPU's 16-bit convolutions take
    fifteen times as long. Every other seed rounds to steps twice as large, for kernels that also sum in 16 bits: the
    head's outputs of Core AI's are up to 1.5 times as far off as those of kernels that do not.

    Args:
        detector: left as it is.
        seed: of a factor for each layer, by which its weights are multiplied before rounding and its results divided
            afterwards. So each seed rounds to other numbers, and all are as near: what a detector finds with one of
            them tells little where proposals are ranked, what it finds with several tells how far it may stray.
    """
    detector = copy.deepcopy(detector).eval()  # a copy of a traced network starts in training
    random = np.random.default_rng(seed)
    for module in detector.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            factor = random.uniform(1, 2)
            module.weight.data = _to_half(module.weight.data * factor, seed) / factor
            module.register_forward_hook(partial(_round_output, factor, seed))
    return detector


def _round_output(factor: float, seed: int, module: nn.Module, inputs: object, output: Tensor) -> Tensor:
    return _to_half(output.mul_(factor), seed).div_(factor)


def _to_half(values: Tensor, seed: int) -> Tensor:
    """Round in place."""
    half = values.half()
    if seed % 2:  # the last binary digit goes, ties to even
        bits = half.view(torch.int16)
        bits.add_((bits >> 1).bitwise_and_(1)).bitwise_and_(~1)
    return values.copy_(half)


def round_to_integers(detector: Detector, seed: int = 0, with_activations: bool = False) -> Detector:
    """A copy with weights of 8 bits, one scale for each output channel.

    Args:
        detector: left as it is.
        seed: of what the largest weight of each channel is multiplied by to get its scale, from 1 to 1.25.
        with_activations: whether the results of these layers have 8 bits, too, of the range that each image needs.
    """
    detector = copy.deepcopy(detector).eval()
    random = torch.Generator().manual_seed(seed)
    for module in detector.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight = module.weight.data.flatten(1)
            scale = weight.abs().amax(1, keepdim=True).clamp(min=1e-12) / LARGEST_INTEGER
            scale *= 1 + torch.rand(scale.shape, generator=random) / 4
            module.weight.data = ((weight / scale).round() * scale).view_as(module.weight)
            if with_activations:
                module.register_forward_hook(_round_to_steps)
    return detector


def _round_to_steps(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
    step = ((output.max() - output.min()) / (2 * LARGEST_INTEGER)).clamp(min=1e-12)
    return (output / step).round() * step


# how many ways of each kind a file is held against, and what gives the detector of a seed
WAYS: dict[RoundingKind, tuple[int, Callable[[Detector, int], Detector]]] = {
    "half": (12, round_to_float16),
    "weights": (4, round_to_integers),
    "activations": (4, partial(round_to_integers, with_activations=True)),
}
