"""Greedy non-maximum suppression in constant shapes."""

import torch
from torch import Tensor

# Rounds of suppression. Greedy suppression is exact after as many rounds as its longest chain of boxes that each
# depend on the one before; chains of trained detectors are shorter than ten.
ROUNDS = 20


def static_nms(boxes_xyxy: Tensor, labels: Tensor, valid: Tensor, iou: float, rounds: int = ROUNDS) -> Tensor:
    """Greedy suppression by class without a loop over boxes and without comparisons inside of the rounds.

    A box is kept when it is valid and no kept better box of its class overlaps it by more than ``iou``. Starting from
    all valid boxes, each round applies that rule to the result of the round before; the boxes that are settled after
    round r are those whose chain of dependence is at most r long, so the fixed point is the greedy result.

    Args:
        boxes_xyxy: K x 4, best first; any unit, sides not negative.
        labels: K, whole numbers as floats.
        valid: K, 1 for candidates and 0 for padding.
        iou: threshold.
        rounds: how often the rule is applied.

    Returns:
        K, 1 for kept boxes and 0 for the rest.
    """
    count = boxes_xyxy.shape[0]
    x1, y1, x2, y2 = boxes_xyxy.split(1, dim=1)  # K x 1
    width = (torch.minimum(x2, x2.t()) - torch.maximum(x1, x1.t())).clamp(min=0)
    height = (torch.minimum(y2, y2.t()) - torch.maximum(y1, y1.t())).clamp(min=0)
    intersection = width * height
    area = (x2 - x1) * (y2 - y1)
    overlapping = (intersection > iou * (area + area.t() - intersection)).float()
    labels = labels.reshape(-1, 1)
    same_class = 1 - (labels - labels.t()).abs().clamp(max=1)
    better = torch.triu(torch.ones(count, count, device=boxes_xyxy.device), diagonal=1)
    suppresses = overlapping * same_class * better
    valid = valid.reshape(1, -1)
    keep = valid
    for _ in range(rounds):
        # relu(valid - n) is valid and not suppressed, for whole n
        keep = torch.relu(valid - keep @ suppresses)
    return keep.reshape(-1)
