"""Compares the boxes of a data set with the anchors and strides of a detector."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mobiledet.backbones import build_backbone
from mobiledet.data.dataset import DetectionSet
from mobiledet.detectors import build_detector
from mobiledet.ops.boxes import pairwise_iou
from mobiledet.spec import InputSpec

SAMPLE = 20_000  # number of boxes that are compared; more would not change the result
CHUNK = 500
MATCHED = 0.5  # SSD's IoU at which an anchor becomes foreground (arXiv:1512.02325, section 2.2)
HARDLY = 0.2


@dataclass(frozen=True)
class AnchorFit:
    """How well anchors cover the boxes of a data set.

    Attributes:
        boxes: number of boxes that were compared, a sample of large data sets.
        strides: strides of the feature levels in pixels.
        below_half, below_fifth: fraction of boxes whose best IoU with an anchor is below 0.5, or below 0.2. They are
            trained only through their nearest anchor, if at all.
    """

    boxes: int
    strides: tuple[int, ...]
    below_half: float
    below_fifth: float


def fit_of_anchors(dataset: DetectionSet, detector: str, backbone: str, size: InputSpec) -> AnchorFit | None:
    """Compare the boxes, resized to the input, with all anchors; None for a detector without anchors.

    Raises:
        UserError: backbone or detector is unknown, or the size is not valid.
    """
    network = build_detector(detector, build_backbone(backbone), max(1, len(dataset.labels)), (size.height, size.width))
    anchors = getattr(network, "anchors_xyxy", None)
    if anchors is None:
        return None
    boxes = np.concatenate([image.boxes_in_input(size) for image in dataset.images] or [np.zeros((0, 4), np.float32)])
    if len(boxes) > SAMPLE:
        boxes = boxes[np.random.default_rng(0).choice(len(boxes), SAMPLE, replace=False)]
    best = _best_overlap(boxes, anchors)
    levels = len(list(network.level_sizes))  # type: ignore[arg-type]
    return AnchorFit(
        boxes=len(boxes),
        strides=tuple(network.finest_stride * 2**level for level in range(levels)),
        below_half=float((best < MATCHED).mean()) if len(best) else 0.0,
        below_fifth=float((best < HARDLY).mean()) if len(best) else 0.0,
    )


@torch.inference_mode()
def _best_overlap(boxes: NDArray[np.float32], anchors: torch.Tensor) -> NDArray[np.float32]:
    """For each box, its highest IoU with an anchor."""
    parts = [
        pairwise_iou(torch.from_numpy(boxes[start : start + CHUNK]), anchors).amax(dim=1).numpy()
        for start in range(0, len(boxes), CHUNK)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
