"""Greedy non-maximum suppression in constant shapes."""

import torch
import torch.nn.functional as F
from torch import Tensor

# Rounds of suppression. Greedy suppression is exact after as many rounds as its longest chain of boxes that each
# depend on the one before; chains of trained detectors are shorter than ten.
ROUNDS = 20
YES = 6.0  # ReLU6's upper end: the one clamp to a range that every runtime has as an operation of its own
CERTAIN = 2.0**100  # lifts the least positive difference of two areas beyond it


def static_nms(boxes_xyxy: Tensor, labels: Tensor, valid: Tensor, iou: float, rounds: int = ROUNDS) -> Tensor:
    """Greedy suppression by class without a loop over boxes, without comparisons and without a table of constants.

    A box is kept when it is valid and no kept better box of its class overlaps it by more than ``iou``. Starting from
    all valid boxes, each round applies that rule to the result of the round before; the boxes that are settled after
    round r are those whose chain of dependence is at most r long, so the fixed point is the greedy result.

    Numbers must have 32 bits, as all of the post-processing needs: where a GPU computes in 16, it stays on the CPU.

    Args:
        boxes_xyxy: K x 4, best first; any unit, sides not negative.
        labels: K, whole numbers as floats.
        valid: K, 1 for candidates and 0 for padding.
        iou: threshold.
        rounds: how often the rule is applied.

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
    # i / (a + b - i) > t without the quotient
    return width * height * (1 + iou) - (area * iou + area.t() * iou)


def _precedence(labels: Tensor) -> Tensor:
    """K x K, at least ``YES`` where the column's box is better than the row's and of its class, else not positive.

    A box has the key ``2K * label + rank``. Of two boxes of one class the keys differ by less than K, of others by more
    than that; the better one's is smaller: the difference lies between 0 and K.
    """
    count = len(labels)
    keys = (labels.reshape(-1, 1) * 2 * count + torch.arange(count, device=labels.device).reshape(-1, 1)) * (2 * YES)
    middle = count * YES
    return middle - ((keys - middle) - keys.t()).abs()
