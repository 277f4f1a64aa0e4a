"""Simulates the rounding of lower precisions in PyTorch, to learn how much the detections may change."""

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
    """Detections of PyTorch in the images of a reference under rounding, in several random variants.

    ``half`` is 16-bit arithmetic; ``weights`` have 8 bits, and with ``activations`` the outputs of layers, too: that is
    the least that integer files do. Computed on first use, because files of 32 bits do not need it.

    Args:
        detector: a detector in evaluation mode.
        reference: its detections in 32 bits.
        postprocess: see ``make_reference``.
    """

    def __init__(self, detector: Detector, reference: Reference, postprocess: str = "graph") -> None:
        self._detector = detector
        self._reference = reference
        self._postprocess = postprocess
        self._reports: dict[tuple[RoundingKind, Tolerance], ParityReport] = {}  # shared by files of one gate
        self._variants: dict[RoundingKind, Sequence[Reference]] = {}

    def variants(self, kind: RoundingKind = "half") -> Sequence[Reference]:
        """The reference of each variant."""
        if kind not in self._variants:
            reference, (count, rounded) = self._reference, VARIANTS[kind]
            self._variants[kind] = [
                make_reference(rounded(self._detector, seed), reference.spec, reference.inputs, self._postprocess)
                for seed in range(count)
            ]
        return self._variants[kind]

    @cached_property
    def sqnr_db(self) -> float:
        """The lowest SQNR of the head's outputs over all variants of 16-bit arithmetic, in decibels."""
        return min(
            difference(values, variant.raw[name]).sqnr_db
            for variant in self.variants()
            for name, values in self._reference.raw.items()
        )

    def report(self, tolerance: Tolerance, kind: RoundingKind = "half") -> ParityReport:
        """The largest differences of any variant from 32 bits."""
        if (kind, tolerance) not in self._reports:
            reference = self._reference
            self._reports[kind, tolerance] = worst(
                compare(reference.detections, variant.detections, reference.cuts, reference.spec.nms, tolerance)
                for variant in self.variants(kind)
            )
        return self._reports[kind, tolerance]

    def differing(self, image: int, tolerance: Tolerance) -> int:
        """The largest number of detections of an image that a variant of 16-bit arithmetic changes."""
        ours, nms, cut = self._reference.detections[image], self._reference.spec.nms, self._reference.cuts[image]
        return max(
            compare_lists(ours, variant.detections[image], cut, nms, tolerance).differing for variant in self.variants()
        )


def round_to_float16(detector: Detector, seed: int = 0) -> Detector:
    """A copy that simulates a GPU with 16-bit numbers, up to the order of summation.

    The weights and the outputs of convolutions and fully connected layers are rounded. The arithmetic has 32 bits,
    because 16-bit convolutions take fifteen times as long on a CPU. Every other seed rounds to steps twice as large,
    for
    kernels that also sum in 16 bits: the errors of Core AI's kernels are up to 1.5 times as large as those of kernels
    that sum in 32 bits.

    Args:
        detector: not changed.
        seed: random seed of a factor for each layer. The weights are multiplied by it before rounding and the outputs
            divided by it afterwards, so that each seed rounds to different numbers, all equally accurate. Where
            proposals are ranked, one seed says little; several show how far the detections may differ.
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
    """Round to float16 in place; with an odd seed to one binary digit less."""
    half = values.half()
    if seed % 2:  # the last binary digit goes, ties to even
        bits = half.view(torch.int16)
        bits.add_((bits >> 1).bitwise_and_(1)).bitwise_and_(~1)
    return values.copy_(half)


def round_to_integers(detector: Detector, seed: int = 0, with_activations: bool = False) -> Detector:
    """A copy with 8-bit weights, one scale for each output channel.

    Args:
        detector: not changed.
        seed: random seed of a factor from 1 to 1.25 for the scale of each channel.
        with_activations: whether the outputs of these layers are rounded to 8 bits, too, over the range that each batch
            has.
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


# kind -> the number of variants, and the function that makes the detector for a seed
VARIANTS: dict[RoundingKind, tuple[int, Callable[[Detector, int], Detector]]] = {
    "half": (12, round_to_float16),
    "weights": (4, round_to_integers),
    "activations": (4, partial(round_to_integers, with_activations=True)),
}
