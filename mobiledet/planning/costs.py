"""What the latency of a network depends on, counted without running it."""

import dataclasses
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mobiledet.complexity import count_parameters, layer_costs
from mobiledet.detectors import Detector, RawOutputs, detector_from_spec
from mobiledet.profile.latency_table import Shape
from mobiledet.spec import InputSpec, ModelSpec

BASE_SIDE = 320  # pixels, at which networks are counted; a multiple of all strides
TERMS = ("1x1", "depthwise", "other", "values", "scores", "layers", "start")
GROWING = np.array([1, 1, 1, 1, 1, 0, 0], bool)  # with the area of the input


@dataclass(frozen=True, eq=False)
class Costs:
    """Counts of a network for one image.

    Attributes:
        parameters: all numbers that it learns.
        terms: by ``TERMS``: millions of multiply-adds in 1x1 convolutions, in depthwise ones and in others; millions of
            numbers that layers give; millions of class scores to choose from; hundreds of layers; one.
        finest_stride: pixels of the input between neighbouring cells of the finest level.
        top1: published ImageNet accuracy of the backbone in percent, None where none is.
    """

    parameters: int
    terms: NDArray[np.float64]
    finest_stride: int
    top1: float | None


def costs_of(shape: Shape) -> Costs:
    """Count a network.

    Raises:
        UserError: backbone or detector is unknown.
    """
    base = _at_base_side(shape.backbone, shape.detector, shape.classes)
    area = shape.height * shape.width / BASE_SIDE**2
    return dataclasses.replace(base, terms=np.where(GROWING, base.terms * area, base.terms))


@cache
def _at_base_side(backbone: str, detector: str, classes: int) -> Costs:
    labels = tuple(f"class {number}" for number in range(classes))
    spec = ModelSpec("plan", backbone, detector, InputSpec(BASE_SIDE, BASE_SIDE), labels, tuple(range(classes)))
    is_dense = not detector.startswith("faster_rcnn")
    # proposals are ranked, which needs numbers
    with torch.device("meta" if is_dense else "cpu"):
        network = detector_from_spec(spec).eval()
    parameters = count_parameters(network)
    _drop_normalisation(network)
    scores: list[int] = []
    hook = network.register_forward_hook(lambda module, taken, given: scores.append(_scores(given)))
    layers = layer_costs(network, BASE_SIDE, BASE_SIDE)
    hook.remove()
    macs = {kind: sum(layer.macs for layer in layers if layer.kind == kind) for kind in ("1x1", "depthwise")}
    given = sum(layer.positions * layer.out_channels for layer in layers)
    counts = (
        macs["1x1"],
        macs["depthwise"],
        sum(layer.macs for layer in layers) - sum(macs.values()),
        given,
        scores[0],
    )
    terms = np.array([*(count / 1e6 for count in counts), len(layers) / 100, 1.0])
    published = network.backbone.published
    return Costs(parameters, terms, network.finest_stride, published.top1 if published else None)


def _drop_normalisation(network: Detector) -> None:
    """It has no part in the terms, and most of the time of counting them."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())


def _scores(outputs: object) -> int:
    """Class scores among which the best are chosen; a network of two stages has them for its regions alone."""
    return outputs.class_logits.numel() if isinstance(outputs, RawOutputs) else 0
