"""NanoDet-Plus' dynamic soft label assignment, for a whole batch at once.

No paper describes it; the facts are those of the authors' code (RangiLyu/nanodet, head/assigner/dsl_assigner.py). It
is OTA's dynamic choice of the number of positives (arXiv:2107.08430, section 2.1.6, SimOTA) with a cost that measures
classes by the quality focal loss against the overlap itself.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mobiledet.ops.boxes import pairwise_iou
from mobiledet.ops.matching import BACKGROUND

CANDIDATES = 13  # overlaps that are summed up to the number of positives of a box, and the most that it can have
OVERLAP_WEIGHT = 3.0
SMALLEST_OVERLAP = 1e-7  # inside of the logarithm
NEVER = torch.inf  # the cost of a prior that lies in no box


class Assignment(NamedTuple):
    """What the priors learn.

    Attributes:
        matched: N x A indices 0..M-1 of their boxes, or ``BACKGROUND``.
        overlap: N x A intersection over union of the predicted box with that one; 0 for background.
    """

    matched: Tensor
    overlap: Tensor


@torch.no_grad()
def assign_dynamic_soft_labels(
    class_logits: Tensor, predicted_xyxy: Tensor, points: Tensor, boxes_xyxy: Tensor, labels: Tensor
) -> Assignment:
    """Give each box the priors that predict it best.

    Only priors that lie in some box of their image take part. A box gets as many as the sum of its ``CANDIDATES`` best
    overlaps, rounded down, at least one; those of the least cost. A prior that several boxes want goes to the one that
    costs it least, of all boxes of the image.

    Args:
        class_logits: N x A x C predictions.
        predicted_xyxy: N x A x 4 predictions.
        points: A x 2 (x, y) of the priors.
        boxes_xyxy: N x M x 4 ground truth, padded, in the same unit.
        labels: N x M classes; -1 for padding.
    """
    if not labels.shape[1]:
        background = labels.new_full(class_logits.shape[:2], BACKGROUND)
        return Assignment(background, torch.zeros_like(class_logits[..., 0]))
    valid = (labels >= 0).unsqueeze(-1)  # N x M x 1
    x, y = points.unbind(-1)
    x1, y1, x2, y2 = boxes_xyxy.unsqueeze(-2).unbind(-1)  # N x M x 1
    inside = (x > x1) & (x < x2) & (y > y1) & (y < y2) & valid
    candidate = inside.any(1, keepdim=True)  # N x 1 x A
    overlap = pairwise_iou(boxes_xyxy, predicted_xyxy).masked_fill(~(candidate & valid), 0.0)  # N x M x A
    cost = _class_cost(class_logits, labels, overlap) - OVERLAP_WEIGHT * (overlap + SMALLEST_OVERLAP).log()
    cost = cost.masked_fill(~(candidate & valid), NEVER)

    most = min(CANDIDATES, overlap.shape[2])
    wanted = overlap.topk(most).values.sum(-1).int().clamp(min=1)  # N x M
    cheapest = cost.topk(most, largest=False)
    chosen = (torch.arange(most, device=cost.device) < wanted.unsqueeze(-1)) & (cheapest.values < NEVER)
    takes = torch.zeros_like(cost, dtype=torch.bool).scatter(2, cheapest.indices, chosen)
    takers = takes.sum(1)  # N x A
    matched = takes.int().argmax(1).where(takers <= 1, cost.argmin(1))
    own = overlap.gather(1, matched.unsqueeze(1)).squeeze(1)
    return Assignment(matched.masked_fill(takers == 0, BACKGROUND), own.masked_fill(takers == 0, 0.0))


def _class_cost(class_logits: Tensor, labels: Tensor, overlap: Tensor) -> Tensor:
    """N x M x A quality focal losses, over all classes, of a prior that learns a box with its overlap as the score.

    The classes that are not the box's cost the same for every box, so that no N x M x A x C tensor is needed.
    """
    as_background = F.softplus(class_logits) * class_logits.sigmoid().square()  # N x A x C
    index = labels.clamp(min=0).unsqueeze(-1).expand(-1, -1, class_logits.shape[1])
    logit = class_logits.transpose(1, 2).gather(1, index)  # N x M x A
    own_as_background = as_background.transpose(1, 2).gather(1, index)
    error = F.binary_cross_entropy_with_logits(logit, overlap, reduction="none")
    own = error * (overlap - logit.sigmoid()).square()
    return as_background.sum(-1).unsqueeze(1) - own_as_background + own
