"""NanoDet-Plus' dynamic soft label assignment, for a whole batch at once.

There is no paper; the source is the authors' code (RangiLyu/nanodet, head/assigner/dsl_assigner.py). It is SimOTA's
dynamic number of positives (arXiv:2107.08430, section 2.1.6) with the quality focal loss as the cost of the classes,
whose target is the IoU.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from mobiledet.ops.boxes import pairwise_iou
from mobiledet.ops.matching import BACKGROUND

CANDIDATES = 13  # number of IoUs whose sum is the number of positives of a box, and its upper limit
OVERLAP_WEIGHT = 3.0
SMALLEST_OVERLAP = 1e-7  # added to the IoU in the logarithm
NEVER = torch.inf  # cost of a prior that is in no box


class Assignment(NamedTuple):
    """The targets of the priors.

    Attributes:
        matched: N x A indices 0..M-1 of the assigned boxes, or ``BACKGROUND``.
        overlap: N x A IoU of the predicted box with the assigned one; 0 for background.
    """

    matched: Tensor
    overlap: Tensor


@torch.no_grad()
def assign_dynamic_soft_labels(
    class_logits: Tensor, predicted_xyxy: Tensor, points: Tensor, boxes_xyxy: Tensor, labels: Tensor
) -> Assignment:
    """Assign each box to the priors that predict it best.

    Only priors inside some box of their image are considered. A box is assigned to the priors with the lowest cost;
    their number is the sum of its ``CANDIDATES`` highest IoUs, rounded down, at least one. A prior that is chosen by
    several boxes gets the box with the lowest cost among all boxes of the image.

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
    is_chosen = torch.zeros_like(cost, dtype=torch.bool).scatter(2, cheapest.indices, chosen)
    count = is_chosen.sum(1)  # N x A, boxes that have chosen a prior
    matched = is_chosen.int().argmax(1).where(count <= 1, cost.argmin(1))
    own = overlap.gather(1, matched.unsqueeze(1)).squeeze(1)
    return Assignment(matched.masked_fill(count == 0, BACKGROUND), own.masked_fill(count == 0, 0.0))


def _class_cost(class_logits: Tensor, labels: Tensor, overlap: Tensor) -> Tensor:
    """Quality focal loss over all classes, N x M x A, of each prior if it were assigned to each box, with their IoU as
    the target score.

    The cost of the other classes is the same for every box, so that no N x M x A x C tensor is needed.
    """
    as_background = F.softplus(class_logits) * class_logits.sigmoid().square()  # N x A x C
    index = labels.clamp(min=0).unsqueeze(-1).expand(-1, -1, class_logits.shape[1])
    logit = class_logits.transpose(1, 2).gather(1, index)  # N x M x A
    own_as_background = as_background.transpose(1, 2).gather(1, index)
    error = F.binary_cross_entropy_with_logits(logit, overlap, reduction="none")
    own = error * (overlap - logit.sigmoid()).square()
    return as_background.sum(-1).unsqueeze(1) - own_as_background + own
