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
    """The published network, randomly initialised, for COCO's classes and the file's logits without a class."""
    size = (entry.side, entry.side)
    options = entry.detector_options
    if entry.kind != "nanodet":
        options = options.changed(unused_logits=LAST_ID - len(COCO))
    if entry.kind == "tensorflow_ssd":
        options = options.changed(anchors=tensorflow_anchors())
    backbone = build_backbone(entry.backbone, options=entry.backbone_options)
    return build_detector(entry.detector, backbone, len(COCO), size, options)


def count_network(entry: ZooEntry) -> tuple[int, int]:
    """Parameters and multiply-adds of the published network, counted without running it."""
    with torch.device("meta"):
        detector = network_of(entry)
        macs = count_macs(StaticForward(detector), entry.side, entry.side)
    return count_parameters(detector), macs


class StaticForward(nn.Module):
    """A detector with proposals of constant shape, which can be counted on the meta device."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, image: Tensor) -> Any:
        """See ``Detector.forward_static``."""
        return self.detector.forward_static(image)


def tensorflow_anchors() -> AnchorSizes:
    """Anchor sizes (width, height) as fractions of a square image, as the zoo's SSD anchor generator computes them.

    The finest level has fewer anchors than the others.
    """
    levels = [[(0.1, 0.1), *((0.2 * r**0.5, 0.2 / r**0.5) for r in TENSORFLOW_RATIOS[1:3])]]
    for scale, following in itertools.pairwise(TENSORFLOW_SCALES[1:]):
        between = (scale * following) ** 0.5
        levels.append([*((scale * r**0.5, scale / r**0.5) for r in TENSORFLOW_RATIOS), (between, between)])
    return levels
