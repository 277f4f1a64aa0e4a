"""Greedy non-maximum suppression with constant shapes."""

import torch
import torch.nn.functional as F
from torch import Tensor

# Rounds of suppression. The result is exact after as many rounds as the longest chain of boxes that each depend on the
# one before has boxes; chains of trained detectors have fewer than ten.
ROUNDS = 20
YES = 6.0  # upper limit of ReLU6, the only clamp to a range that is a single operation in every runtime
CERTAIN = 2.0**100  # factor that makes the smallest positive difference of two areas larger than YES


def static_nms(boxes_xyxy: Tensor, labels: Tensor, valid: Tensor, iou: float, rounds: int = ROUNDS) -> Tensor:
    """Greedy non-maximum suppression within each class, without loops over boxes, comparisons or tables of constants.

    A box is kept if it is valid and no kept box of its class with a higher score overlaps it by more than ``iou``.
    Starting with all valid boxes, each round applies this rule to the result of the round before. After round r the
    boxes whose chain of dependence has at most r boxes are final, so the fixed point is the greedy result.

    It must be computed in 32 bits, like all post-processing: if a GPU computes in 16 bits, it must run on the CPU.

    Args:
        boxes_xyxy: K x 4, best first; any unit, sides not negative.
        labels: K, whole numbers as floats.
        valid: K, 1 for candidates and 0 for padding.
        iou: threshold.
        rounds: number of rounds.

    Returns:
        K, 1 for kept boxes and 0 for the rest.
    """
    suppressed = F.relu6(torch.minimum(_excess(boxes_xyxy, iou) * CERTAIN, _precedence(labels)))
    valid = valid.reshape(1, -1)
    keep = valid
    for _ in range(rounds):
        keep = torch.relu(valid - (suppressed * keep).amax(1).reshape(1, -1))
    return keep.reshape(-1)


def _excess(boxes_xyxy: Tensor, iou: float) -> Tensor:
    """K x K areas, positive where two boxes overlap by more than ``iou``."""
    x1, y1, x2, y2 = boxes_xyxy.split(1, dim=1)  # K x 1
    width = torch.relu(torch.minimum(x2, x2.t()) - torch.maximum(x1, x1.t()))
    height = torch.relu(torch.minimum(y2, y2.t()) - torch.maximum(y1, y1.t()))
    area = (x2 - x1) * (y2 - y1)
    # i / (a + b - i) > t without a division
    return width * height * (1 + iou) - (area * iou + area.t() * iou)


def _precedence(labels: Tensor) -> Tensor:
    """K x K, at least ``YES`` if the column's box has a higher score than the row's and the same class, otherwise not
    positive.

    A box has the key ``2K * label + rank``. The keys of two boxes of one class differ by less than K, those of other
    pairs by more; the better box has the smaller key. So the condition is that the difference is between 0 and K.
    """
    count = len(labels)
    # the dtype of the labels: integers here would cost litert-torch one more pass over the whole network
    ranks = torch.arange(count, dtype=labels.dtype, device=labels.device)
    keys = (labels.reshape(-1, 1) * 2 * count + ranks.reshape(-1, 1)) * (2 * YES)
    middle = count * YES
    return middle - ((keys - middle) - keys.t()).abs()
