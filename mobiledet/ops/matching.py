"""Assignment of ground-truth boxes to anchors or proposals, for a whole batch at once."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mobiledet.ops.boxes import pairwise_iou

BACKGROUND = -1
IGNORED = -2  # neither background nor matched with a box: not used in the loss


def match_ssd(boxes_xyxy: Tensor, valid: Tensor, anchors_xyxy: Tensor, foreground_iou: float = 0.5) -> Tensor:
    """SSD's matching (arXiv:1512.02325, section 2.2): every box gets its best anchor, and every anchor that overlaps
    a box by at least ``foreground_iou`` gets the box that it overlaps most.

    Args:
        boxes_xyxy: N x M x 4 ground truth, padded.
        valid: N x M, False for padding.
        anchors_xyxy: A x 4 in the same unit.
        foreground_iou: lowest IoU at which an anchor is foreground.

    Returns:
        N x A: index 0..M-1 of the matched box, or ``BACKGROUND``. If several boxes have the same best anchor, the last
        of them gets it.
    """
    iou = pairwise_iou(boxes_xyxy, anchors_xyxy.unsqueeze(0)).masked_fill(~valid.unsqueeze(-1), -1.0)  # N x M x A
    best_iou, best_box = iou.max(dim=1)
    matched = best_box.masked_fill(best_iou < foreground_iou, BACKGROUND)
    # each box claims its best anchor; indexed writes have no defined order, so the maximum decides
    best_anchor = iou.argmax(dim=2)  # N x M
    box_index = torch.arange(valid.shape[1], device=valid.device).expand_as(best_anchor)
    nobody = torch.full_like(matched, BACKGROUND)
    claims = nobody.scatter_reduce(1, best_anchor, box_index.masked_fill(~valid, BACKGROUND), "amax")
    return claims.where(claims >= 0, matched)


def match_two_thresholds(
    boxes_xyxy: Tensor,
    valid: Tensor,
    candidates_xyxy: Tensor,
    background_iou: float,
    foreground_iou: float,
    claim_best: bool = False,
) -> Tensor:
    """Faster R-CNN's matching (arXiv:1506.01497, section 3.1.2): a candidate gets the box that it overlaps most, if by
    at least ``foreground_iou``.

    Args:
        boxes_xyxy: N x M x 4 ground truth, padded.
        valid: N x M, False for padding.
        candidates_xyxy: A x 4 anchors, or N x A x 4 proposals, in the same unit.
        background_iou: candidates below it are background; those between the two thresholds are ignored.
        foreground_iou: lowest IoU at which a candidate is foreground.
        claim_best: whether the candidates with the highest IoU for some box are foreground, too, as in the paper's
            condition (i). They get the box that they overlap most, as in torchvision.

    Returns:
        N x A: index 0..M-1 of the matched box, ``BACKGROUND`` or ``IGNORED``.
    """
    iou = pairwise_iou(boxes_xyxy, candidates_xyxy).masked_fill(~valid.unsqueeze(-1), -1.0)  # N x M x A
    best_iou, best_box = iou.max(dim=1)
    matched = best_box.masked_fill(best_iou < foreground_iou, IGNORED).masked_fill(
        best_iou < background_iou, BACKGROUND
    )
    if not claim_best:
        return matched
    highest = iou.amax(dim=2, keepdim=True)
    claimed = ((iou == highest) & (highest > 0)).any(dim=1)
    return best_box.where(claimed, matched)


def match_atss(
    boxes_xyxy: Tensor, valid: Tensor, anchors_xyxy: Tensor, level_sizes: Sequence[int], candidates: int = 9
) -> Tensor:
    """Adaptive training sample selection (arXiv:1912.02424, algorithm 1).

    The candidates of a box are the ``candidates`` anchors on each level that are nearest to its centre. Those whose IoU
    is at least the mean plus one standard deviation of all candidates, and whose centre is in the box, are foreground.
    An anchor that is foreground for several boxes gets the one it overlaps most. Unlike in the paper, a box without
    any such anchor gets the candidate that it overlaps most, so that no box is lost.

    Args:
        boxes_xyxy: N x M x 4 ground truth, padded.
        valid: N x M, False for padding.
        anchors_xyxy: A x 4 in the same unit.
        level_sizes: number of anchors of each level, A in sum.
        candidates: number of candidates on each level.

    Returns:
        N x A: index 0..M-1 of the matched box, or ``BACKGROUND``.
    """
    iou = pairwise_iou(boxes_xyxy, anchors_xyxy.unsqueeze(0)).masked_fill(~valid.unsqueeze(-1), 0.0)  # N x M x A
    anchor_centres = (anchors_xyxy[:, :2] + anchors_xyxy[:, 2:]) / 2
    box_centres = (boxes_xyxy[..., :2] + boxes_xyxy[..., 2:]) / 2
    distance = (box_centres.unsqueeze(-2) - anchor_centres).square().sum(-1)  # N x M x A, squared
    chosen, start = [], 0
    for size in level_sizes:
        nearest = distance[..., start : start + size].topk(min(candidates, size), largest=False).indices
        chosen.append(nearest + start)
        start += size
    index = torch.cat(chosen, dim=-1)  # N x M x candidates in all
    overlap = iou.gather(2, index)
    threshold = overlap.mean(2, keepdim=True) + overlap.std(2, keepdim=True)
    centre_x, centre_y = anchor_centres[index].unbind(-1)
    x1, y1, x2, y2 = boxes_xyxy.unsqueeze(-2).unbind(-1)
    inside = (centre_x > x1) & (centre_x < x2) & (centre_y > y1) & (centre_y < y2)
    positive = (overlap >= threshold) & inside
    most_overlapping = F.one_hot(overlap.argmax(2), overlap.shape[2]).bool()
    positive |= most_overlapping & ~positive.any(2, keepdim=True)
    wanted = torch.full_like(iou, -1.0).scatter(2, index, overlap.masked_fill(~positive, -1.0))
    best, box = wanted.masked_fill(~valid.unsqueeze(-1), -1.0).max(dim=1)
    return box.masked_fill(best < 0, BACKGROUND)
