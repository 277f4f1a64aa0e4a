"""Torchvision's detectors on MobileNetV3 (``ssdlite320_mobilenet_v3_large``, ``fasterrcnn_mobilenet_v3_large*``).

Their weights for COCO have 91 logits: background and the ids 1 to 90, of which COCO uses 80. The softmax is over all of
them, so all are kept; here the unused ones come last and are dropped after the softmax. Box outputs of background and
of unused ids have no effect and are left out.

Files from before torchvision 0.12 have other names in the pyramid and the first stage; both are supported.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mobiledet.backbones.weight_files import faster_rcnn_name, ssdlite_name
from mobiledet.errors import UserError

COUNTER = "num_batches_tracked"
SSDLITE_CLASSES = re.compile(r"head\.classes\.(\d)\.1\.(weight|bias)")
# shape of a region: channels, rows, columns; this is torchvision's order, ours is channels last
REGION = (256, 7, 7)
SSDLITE_RULES = (
    (r"^backbone\.extra\.", "neck.extra."),
    (r"^head\.classification_head\.module_list\.", "head.classes."),
    (r"^head\.regression_head\.module_list\.", "head.boxes."),
)
FASTER_RCNN_RULES = (
    (r"^backbone\.fpn\.(inner|layer)_blocks\.(\d)\.(?:0\.)?(weight|bias)$", r"neck.layers.\1_blocks.\2.0.\3"),
    (r"^rpn\.head\.conv\.(?:0\.0\.)?(weight|bias)$", r"rpn.layers.conv.0.0.\1"),
    (r"^rpn\.head\.", "rpn.layers."),
    (r"^roi_heads\.box_head\.fc6\.", "box_head.layers.1."),
    (r"^roi_heads\.box_head\.fc7\.", "box_head.layers.3."),
    (r"^roi_heads\.box_predictor\.cls_score\.", "box_head.classes."),
    (r"^roi_heads\.box_predictor\.bbox_pred\.", "box_head.boxes."),
)


class Translated(NamedTuple):
    """Converted weights.

    Attributes:
        weights: weights of the detector by our names.
        note: one line about which tensors of the file were used.
    """

    weights: dict[str, Tensor]
    note: str


def class_order(num_logits: int, class_logits: Sequence[int]) -> list[int]:
    """Index in the source of each of our logits: background, the classes, then unused ones."""
    unused = sorted(set(range(1, num_logits)) - set(class_logits))
    return [0, *class_logits, *unused]


def ssdlite_logits(tensors: Mapping[str, Tensor], anchors: int, source: object) -> int:
    """Number of logits per anchor in a file of SSDLite with ``anchors`` anchors per cell."""
    return _rows(tensors, "head.classification_head.module_list.0.1.bias", source) // anchors


def faster_rcnn_logits(tensors: Mapping[str, Tensor], source: object) -> int:
    """Number of logits per region in a file of Faster R-CNN."""
    return _rows(tensors, "roi_heads.box_predictor.cls_score.bias", source)


def translate_ssdlite(tensors: Mapping[str, Tensor], order: Sequence[int], source: object) -> Translated:
    """Convert the weights of SSDLite to our layout; all tensors are kept.

    Shapes are not compared with a network; ``weights.check_weights`` does that.

    Args:
        tensors: torchvision's state dict.
        order: see ``class_order``.
        source: where they come from, for error messages.

    Raises:
        UserError: a class layer has another number of logits.
    """
    weights = {}
    for name, tensor in tensors.items():
        inside = ssdlite_name(name)
        ours = f"backbone.body.{inside}" if inside else _renamed(name, SSDLITE_RULES)
        if SSDLITE_CLASSES.fullmatch(ours):
            tensor = by_anchor(tensor, order, name, source)
        weights[ours] = tensor
    return Translated(weights | counters(weights), f"{len(tensors)} tensors")


def translate_faster_rcnn(
    tensors: Mapping[str, Tensor], order: Sequence[int], num_classes: int, source: object
) -> Translated:
    """Convert the weights of Faster R-CNN to our layout; see ``translate_ssdlite``. ``num_classes`` is the number of
    logits that belong to classes."""
    weights = {}
    for name, tensor in tensors.items():
        inside = faster_rcnn_name(name)
        ours = f"backbone.body.{inside}" if inside else _renamed(name, FASTER_RCNN_RULES)
        if ours == "box_head.layers.1.weight":
            if tensor.shape[-1] != REGION[0] * REGION[1] * REGION[2]:
                raise UserError(f"{source}: {name} takes {tensor.shape[-1]} numbers of a region, not {REGION}")
            tensor = tensor.unflatten(1, REGION).permute(0, 2, 3, 1).flatten(1).contiguous()
        elif ours.startswith("box_head.classes."):
            tensor = tensor[torch.tensor(order)]
        elif ours.startswith("box_head.boxes."):
            if len(tensor) != 4 * len(order):
                raise UserError(f"{source}: {name} has {len(tensor)} rows, not 4 for each of {len(order)} logits")
            tensor = tensor.unflatten(0, (len(order), 4))[torch.tensor(order[1 : 1 + num_classes])].flatten(0, 1)
        weights[ours] = tensor
    without = len(order) - num_classes
    note = f"{len(tensors)} tensors, without the boxes of {without} logits that name no class"
    return Translated(weights | counters(weights), note)


def by_anchor(tensor: Tensor, order: Sequence[int], name: str, source: object) -> Tensor:
    """Reorder the rows of a class layer within each anchor.

    Raises:
        UserError: the number of rows is not a multiple of the number of logits.
    """
    if len(tensor) % len(order):
        raise UserError(f"{source}: {name} has {len(tensor)} rows, not a multiple of {len(order)} logits")
    return tensor.unflatten(0, (-1, len(order)))[:, torch.tensor(order)].flatten(0, 1)


def counters(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Zeros for batch counters, which frozen batch normalisation lacks; they do not affect the result."""
    prefixes = [name.removesuffix("running_mean") for name in weights if name.endswith(".running_mean")]
    return {prefix + COUNTER: torch.tensor(0) for prefix in prefixes if prefix + COUNTER not in weights}


def _renamed(name: str, rules: Sequence[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        changed = re.sub(pattern, replacement, name)
        if changed != name:
            return changed
    return name


def _rows(tensors: Mapping[str, Tensor], name: str, source: object) -> int:
    if name not in tensors or tensors[name].ndim != 1:
        raise UserError(f"{source} is a file of another network: it has no {name}")
    return len(tensors[name])
