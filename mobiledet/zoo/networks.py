"""The network of a published detector, without its weights."""

import itertools
from typing import Any

import torch
from torch import Tensor, nn

from mobiledet.backbones import build_backbone
from mobiledet.complexity import count_macs, count_parameters
from mobiledet.detectors import Detector, build_detector
from mobiledet.ops.anchors import AnchorSizes
from mobiledet.zoo.catalogue import ZooEntry
from mobiledet.zoo.coco import COCO, LAST_ID

# SSD's scales and ratios in TensorFlow's detection zoo; the finest level has three of them
TENSORFLOW_SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
TENSORFLOW_RATIOS = (1.0, 2.0, 0.5, 3.0, 0.3333)


def network_of(entry: ZooEntry) -> Detector:
    """The published network, randomly initialised: for COCO's classes and the logits that the file has beyond them."""
    size = (entry.side, entry.side)
    options = entry.detector_options
    if entry.kind != "nanodet":
        options = options.changed(unused_logits=LAST_ID - len(COCO))
    if entry.kind == "tensorflow_ssd":
        options = options.changed(anchors=tensorflow_anchors())
    backbone = build_backbone(entry.backbone, options=entry.backbone_options)
    return build_detector(entry.detector, backbone, len(COCO), size, options)


def count_network(entry: ZooEntry) -> tuple[int, int]:
    """Parameters and multiply-adds of the published network, counted without computing anything."""
    with torch.device("meta"):
        detector = network_of(entry)
        macs = count_macs(StaticForward(detector), entry.side, entry.side)
    return count_parameters(detector), macs


class StaticForward(nn.Module):
    """A detector whose proposals have constant shapes, which can be counted without numbers."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, image: Tensor) -> Any:
        return self.detector.forward_static(image)


def tensorflow_anchors() -> AnchorSizes:
    """(width, height) in fractions of a square image, by the zoo's SSD anchor generator with its reduced finest
    level."""
    levels = [[(0.1, 0.1), *((0.2 * r**0.5, 0.2 / r**0.5) for r in TENSORFLOW_RATIOS[1:3])]]
    for scale, following in itertools.pairwise(TENSORFLOW_SCALES[1:]):
        between = (scale * following) ** 0.5
        levels.append([*((scale * r**0.5, scale / r**0.5) for r in TENSORFLOW_RATIOS), (between, between)])
    return levels
