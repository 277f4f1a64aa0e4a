"""Torchvision's detectors on MobileNetV3 (``ssdlite320_mobilenet_v3_large``, ``fasterrcnn_mobilenet_v3_large*``).

Their weights for COCO have 91 logits: background, and the numbers 1 to 90, of which COCO uses 80. The softmax is over
all of them, so that all are kept; those without a name come last here and are cut off behind the softmax. Boxes of
background and of numbers without a name decide nothing and are left out.

Files from before torchvision 0.12 have other names in the pyramid and the first stage; both are read.
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
# of a region: channels, rows, columns; there in this order, here channels last
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
    """Weights in our names.

    Attributes:
        weights: of the detector.
        note: what became of the file's tensors, in a line.
    """

    weights: dict[str, Tensor]
    note: str


def class_order(num_logits: int, class_logits: Sequence[int]) -> list[int]:
    """Which of their logits stands at each place of ours: background, the classes, what names none."""
    unused = sorted(set(range(1, num_logits)) - set(class_logits))
    return [0, *class_logits, *unused]


def ssdlite_logits(tensors: Mapping[str, Tensor], anchors: int, source: object) -> int:
    """Logits of an anchor in a file of SSDLite with this many anchors in a cell."""
    return _rows(tensors, "head.classification_head.module_list.0.1.bias", source) // anchors


def faster_rcnn_logits(tensors: Mapping[str, Tensor], source: object) -> int:
    """Logits of a region in a file of Faster R-CNN."""
    return _rows(tensors, "roi_heads.box_predictor.cls_score.bias", source)


def translate_ssdlite(tensors: Mapping[str, Tensor], order: Sequence[int], source: object) -> Translated:
    """SSDLite's weights in our layout; every tensor is accounted for.

    That shapes fit a network is for ``weights.check_weights`` to say.

    Args:
        tensors: torchvision's state dict.
        order: see ``class_order``.
        source: where they come from, for messages.

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
    """Faster R-CNN's weights in our layout; see ``translate_ssdlite``. ``num_classes`` of the logits are classes."""
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
    """The rows of a class layer, those of each anchor in another order.

    Raises:
        UserError: they cannot be divided among the logits.
    """
    if len(tensor) % len(order):
        raise UserError(f"{source}: {name} has {len(tensor)} rows, no multiple of {len(order)} logits")
    return tensor.unflatten(0, (-1, len(order)))[:, torch.tensor(order)].flatten(0, 1)


def counters(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Zeros for the counters of batches that frozen normalisation does not have; they play no part in the result."""
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
