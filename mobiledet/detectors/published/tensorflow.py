"""SSD on MobileNetV1 and SSDLite on MobileNetV2 of TensorFlow's detection zoo, from a frozen graph.

Weights are constants of the graph; scales and aspect ratios come from its anchor generator, the NMS threshold from its
non-maximum suppression. Boxes are encoded as y, x, height, width; scores are sigmoids, with background as the first
column.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from mobiledet.backbones import tensorflow_names
from mobiledet.detectors.published.torchvision import by_anchor, counters
from mobiledet.errors import UserError
from mobiledet.graph_def import Graph, Node
from mobiledet.ops.anchors import AnchorSizes

LEVELS = 6
PREDICTOR = re.compile(r"BoxPredictor_(\d+)/(BoxEncoding|Class)Predictor(_depthwise)?/(.+)")
HEADS = {"BoxEncoding": "boxes", "Class": "classes"}
XYWH = (1, 0, 3, 2)  # of y, x, height, width


class SsdGraph(NamedTuple):
    """The content of a graph.

    Attributes:
        weights: weights of the detector by our names.
        num_logits: number of logits per anchor, including background.
        image_size: (height, width) that the graph resizes images to; None if it does not.
        anchors: anchor sizes of each level, for a square image.
        iou: IoU threshold of non-maximum suppression; None if unknown.
    """

    weights: dict[str, Tensor]
    num_logits: int
    image_size: tuple[int, int] | None
    anchors: AnchorSizes
    iou: float | None


def read_ssd(graph: Graph, backbone: str) -> SsdGraph:
    """Read the detector in a graph; unknown weights are an error.

    Args:
        graph: the graph.
        backbone: key of the backbone that it should have.

    Raises:
        UserError: the graph is not an SSD on this backbone.
    """
    constants = tensorflow_names.weight_constants(graph)
    scopes = {**tensorflow_names.BACKBONES[backbone], **_extra_scopes(backbone, constants)}
    weights = {}
    for name, tensor in constants.items():
        ours = _predictor_name(name, backbone) or tensorflow_names.our_name(name, scopes)
        if ours is None:
            raise UserError(f"{graph.source} is not an SSD on {backbone} of the detection zoo: it contains {name}")
        weights[ours] = _in_our_order(ours, tensor)
    anchors = _anchors(graph)
    return SsdGraph(
        weights | counters(weights), _num_logits(weights, anchors, graph), _image_size(graph), anchors, _iou(graph)
    )


def in_class_order(weights: dict[str, Tensor], order: Sequence[int], source: object) -> dict[str, Tensor]:
    """The weights with the logits of each anchor in another order, see ``class_order``."""
    last = re.compile(r"head\.classes\.\d\.[01]\.(weight|bias)")
    return {
        name: by_anchor(tensor, order, name, source) if last.fullmatch(name) else tensor
        for name, tensor in weights.items()
    }


def _extra_scopes(backbone: str, constants: dict[str, Tensor]) -> dict[str, str]:
    """Scopes of the layers after the backbone's blocks, whose names end with their number of channels."""
    lite = backbone.startswith("mobilenet_v2")
    network, last = ("MobilenetV2", "layer_19") if lite else ("MobilenetV1", "Conv2d_13_pointwise")
    layer = re.compile(rf"FeatureExtractor/({network}/{last}_([12])_Conv2d_(\d)_[13]x[13]_\w+?)/")
    scopes = {"MobilenetV2/Conv_1": "neck.last"} if lite else {}
    for name in constants:
        if match := layer.match(name):
            scope, part, number = match[1], int(match[2]), int(match[3])
            place = part - 1 if part == 1 or scope.endswith("_depthwise") or not lite else 2
            scopes[scope] = f"neck.extra.{number - 2}.{place}"
    return scopes


def _predictor_name(name: str, backbone: str) -> str | None:
    match = PREDICTOR.fullmatch(name)
    if match is None:
        return None
    level, kind, depthwise, part = match.groups()
    place = "0" if depthwise or backbone.startswith("mobilenet_v1") else "1"
    inner = tensorflow_names.PARTS.get(part) if depthwise else {"weights": "weight", "biases": "bias"}.get(part)
    return f"head.{HEADS[kind]}.{level}.{place}.{inner}" if inner else None


def _in_our_order(name: str, tensor: Tensor) -> Tensor:
    """Reorder box outputs to x, y, width, height."""
    if re.fullmatch(r"head\.boxes\.\d\.[01]\.(weight|bias)", name) and len(tensor) % 4 == 0:
        return tensor.unflatten(0, (-1, 4))[:, list(XYWH)].flatten(0, 1)
    return tensor


def _num_logits(weights: dict[str, Tensor], anchors: AnchorSizes, graph: Graph) -> int:
    numbers = set()
    for level, sizes in enumerate(anchors):
        biases = [weights.get(f"head.classes.{level}.{place}.bias") for place in (0, 1)]
        rows = next((len(bias) for bias in biases if bias is not None), 0)
        if not rows or rows % len(sizes):
            raise UserError(
                f"{graph.source} is not an SSD of the detection zoo: level {level} has {rows} class scores for "
                f"{len(sizes)} anchors"
            )
        numbers.add(rows // len(sizes))
    if len(numbers) != 1:
        raise UserError(f"{graph.source} has {sorted(numbers)} scores of an anchor on its levels, not the same on all")
    return numbers.pop()


def _anchors(graph: Graph) -> AnchorSizes:
    """Anchor sizes from the divisions in the graph: width scale * sqrt(ratio), height scale / sqrt(ratio)."""
    levels: list[list[tuple[float, float]]] = []
    for node in graph.nodes.values():
        if node.op != "RealDiv" or len(node.inputs) != 2:
            continue
        root = graph.nodes.get(node.inputs[1])
        if root is None or root.op != "Sqrt":
            continue
        scales, ratios = graph.constant(node.inputs[0]), graph.constant(root.inputs[0])
        if scales is None or ratios is None or scales.shape != ratios.shape or scales.ndim != 1:
            continue
        if not (np.isfinite(scales).all() and (scales > 0).all() and (ratios > 0).all()):
            raise UserError(f"{graph.source} has anchors that are not positive")
        roots = np.sqrt(ratios)
        levels.append([(float(s * r), float(s / r)) for s, r in zip(scales, roots, strict=True)])
    if len(levels) != LEVELS:
        raise UserError(
            f"{graph.source} is not an SSD of the detection zoo: it has anchors for {len(levels)} levels, not {LEVELS}"
        )
    return levels


def _image_size(graph: Graph) -> tuple[int, int] | None:
    for node in _of_kind(graph, "ResizeBilinear"):
        size = graph.constant(node.inputs[1]) if len(node.inputs) > 1 else None
        if size is not None and size.shape == (2,):
            return int(size[0]), int(size[1])
    return None


def _iou(graph: Graph) -> float | None:
    for op in ("NonMaxSuppressionV3", "NonMaxSuppressionV2"):
        for node in _of_kind(graph, op):
            threshold = graph.constant(node.inputs[3]) if len(node.inputs) > 3 else None
            if threshold is not None and threshold.size == 1 and 0 < float(threshold) < 1:
                return round(float(threshold), 6)
    return None


def _of_kind(graph: Graph, op: str) -> list[Node]:
    return [node for node in graph.nodes.values() if node.op == op]
