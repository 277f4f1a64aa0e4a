"""Counts the quantities on which the latency of a network depends, without measuring it."""

import dataclasses
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mobiledet.complexity import KINDS, count_parameters, layer_costs
from mobiledet.detectors import Detector, RawOutputs, detector_from_spec
from mobiledet.profile.latency_table import Shape
from mobiledet.spec import InputSpec, ModelSpec

BASE_SIDE = 320  # input size in pixels at which networks are counted; a multiple of all strides
# quantity -> whether it grows with the area of the input; the comments give units
GROWING = {
    "1x1": True,  # millions of multiply-adds in 1x1 convolutions
    "depthwise": True,  # ... in depthwise ones
    "grouped": True,
    "full": True,
    "1x1 values": True,  # millions of output values of such convolutions: 8-bit kernels round each of them
    "depthwise values": True,
    "moved values": True,  # ... of concatenation, addition, pooling and upsampling
    "scores": True,  # millions of class scores to choose from
    "weights": False,  # millions: their loading dominates for small inputs
    "layers": False,  # hundreds
    "regions": False,  # 1 if regions are pooled for a second stage, else 0
    "levels of regions": False,  # 1 if regions come from several levels, else 0
    "start": False,  # always 1
}
TERMS = tuple(GROWING)
MACS = np.array([term in ("1x1", "depthwise", "grouped", "full") for term in TERMS])
_GROWS = np.array([*GROWING.values()])
UPSAMPLING = ("upsample_nearest2d", "upsample_bilinear2d")
POOLING = ("max_pool2d", "max_pool2d_with_indices", "avg_pool2d")
MOVING = frozenset(("cat", "add", "mul", *UPSAMPLING, *POOLING))


@dataclass(frozen=True, eq=False)
class Costs:
    """Counts of a network for one image.

    Attributes:
        parameters: number of parameters.
        terms: quantities in the order of ``TERMS``.
        finest_stride: stride of the finest level in pixels of the input.
        top1: published ImageNet accuracy of the backbone in percent; None if there is none.
    """

    parameters: int
    terms: NDArray[np.float64]
    finest_stride: int
    top1: float | None

    @property
    def macs(self) -> float:
        """Millions of multiply-adds."""
        return float(self.terms[MACS].sum())


def costs_of(shape: Shape) -> Costs:
    """Count a network.

    Raises:
        UserError: backbone or detector is unknown.
    """
    base = _at_base_side(shape.backbone, shape.detector, shape.classes)
    area = shape.height * shape.width / BASE_SIDE**2
    return dataclasses.replace(base, terms=np.where(_GROWS, base.terms * area, base.terms))


@cache
def _at_base_side(backbone: str, detector: str, classes: int) -> Costs:
    labels = tuple(f"class {number}" for number in range(classes))
    spec = ModelSpec("plan", backbone, detector, InputSpec(BASE_SIDE, BASE_SIDE), labels, tuple(range(classes)))
    is_dense = not detector.startswith("faster_rcnn")
    # the ranking of proposals needs real values
    with torch.device("meta" if is_dense else "cpu"):
        network = detector_from_spec(spec).eval()
    parameters = count_parameters(network)
    _drop_normalisation(network)
    scores: list[int] = []
    hook = network.register_forward_hook(lambda module, inputs, outputs: scores.append(_scores(outputs)))
    with _Moved() as moved:
        layers = layer_costs(network, BASE_SIDE, BASE_SIDE)
    hook.remove()

    def values(kind: str) -> int:
        return sum(layer.positions * layer.out_channels for layer in layers if layer.kind == kind)

    macs = {kind: sum(layer.macs for layer in layers if layer.kind == kind) for kind in KINDS}
    counts = {
        "1x1": macs["1x1"] + macs["linear"],
        "depthwise": macs["depthwise"],
        "grouped": macs["grouped"],
        "full": macs["full"],
        "1x1 values": values("1x1"),
        "depthwise values": values("depthwise"),
        "moved values": moved.values,
        "scores": scores[0],
        "weights": sum(layer.parameters for layer in layers if layer.kind == "1x1"),
    }
    terms = {term: count / 1e6 for term, count in counts.items()}
    terms |= {"layers": len(layers) / 100, "regions": not is_dense, "start": 1}
    terms["levels of regions"] = not is_dense and len(network.level_sizes) > 1  # type: ignore[arg-type]
    published = network.backbone.published
    return Costs(
        parameters,
        np.array([terms[term] for term in TERMS], float),
        network.finest_stride,
        published.top1 if published else None,
    )


class _Moved(TorchDispatchMode):
    """Counts the output values of ``MOVING`` operations while it is active.

    Attributes:
        values: number of values so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.values = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__.rstrip("_") in MOVING:
            self.values += (output[0] if isinstance(output, tuple) else output).numel()
        return output


def _drop_normalisation(network: Detector) -> None:
    """Remove batch normalisation, which no term counts but which takes most of the time of counting."""
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())


def _scores(outputs: object) -> int:
    """Number of class scores among which the best are selected; 0 for a two-stage network."""
    return outputs.class_logits.numel() if isinstance(outputs, RawOutputs) else 0
