"""From the first stage's outputs to proposals: dynamic for batches, and with constant shapes for model files."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms

from mobiledet.ops.box_coder import decode
from mobiledet.ops.nms import static_nms

ANCHOR_WEIGHTS = (1.0, 1.0, 1.0, 1.0)  # for ``ops.box_coder``; Faster R-CNN does not scale the first stage's offsets


class ProposalRule(NamedTuple):
    """How anchors are selected as proposals (arXiv:1506.01497, section 3.3).

    Attributes:
        candidates: number of highest-scoring anchors per level before non-maximum suppression.
        limit: number of proposals per image.
        iou: IoU threshold of non-maximum suppression among the candidates of a level.
        score: lowest objectness, in 0..1.
    """

    candidates: int
    limit: int
    iou: float
    score: float


def select_proposals(
    objectness: Tensor, deltas: Tensor, anchors_xyxy: Tensor, level_sizes: Sequence[int], rule: ProposalRule
) -> Tensor:
    """The proposals of a batch.

    Args:
        objectness: N x A logits.
        deltas: N x A x 4 offsets.
        anchors_xyxy: A x 4 in fractions of the image.
        level_sizes: number of anchors of each level, A in sum.
        rule: how proposals are selected.

    Returns:
        N x limit x 4 in fractions of the image, best first; unused rows are zero.
    """
    images = objectness.shape[0]
    best = [
        level.topk(min(rule.candidates, size)).indices + start
        for level, size, start in zip(
            objectness.split(list(level_sizes), dim=1), level_sizes, _starts(level_sizes), strict=True
        )
    ]
    index = torch.cat(best, dim=1)  # N x K
    level = torch.cat([torch.full_like(chosen, number) for number, chosen in enumerate(best)], dim=1)
    image = torch.arange(images, device=index.device).unsqueeze(1).expand_as(index)
    scores = objectness.gather(1, index)
    deltas = deltas.gather(1, index.unsqueeze(-1).expand(-1, -1, 4))
    boxes = decode(deltas, anchors_xyxy[index], ANCHOR_WEIGHTS).clamp(0, 1)
    sound = (boxes[..., 2:] > boxes[..., :2]).all(-1) & (scores.sigmoid() >= rule.score)
    image, level, scores, boxes = image[sound], level[sound], scores[sound], boxes[sound]
    # one call for the whole batch, with a separate group for each level of each image; kept is sorted by score
    kept = batched_nms(boxes, scores, image * len(level_sizes) + level, rule.iou)
    kept = kept[image[kept].argsort(stable=True)]
    image, boxes = image[kept], boxes[kept]
    sizes = image.bincount(minlength=images)
    row = torch.arange(len(kept), device=kept.device) - (sizes.cumsum(0) - sizes)[image]
    fits = row < rule.limit
    proposals = boxes.new_zeros(images, rule.limit, 4)
    proposals[image[fits], row[fits]] = boxes[fits]
    return proposals


class ProposalPostProcess(nn.Module):
    """``select_proposals`` for one image with constant shapes: from 1 x A logits and 1 x A x 4 offsets to 1 x limit x
    4.

    It is a module of its own so that its operations can be identified in every exported graph, because they must be
    computed in 32 bits.

    Args:
        level_sizes: number of anchors of each level.
        rule: how proposals are selected.
    """

    def __init__(self, level_sizes: Sequence[int], rule: ProposalRule) -> None:
        super().__init__()
        self.level_sizes = tuple(level_sizes)
        self.rule = rule

    def forward(self, objectness: Tensor, deltas: Tensor, anchors_xyxy: Tensor) -> Tensor:
        """1 x A logits, 1 x A x 4 offsets and A x 4 anchors to 1 x limit x 4 proposals."""
        rule = self.rule
        level_scores, level_boxes, level_kept = [], [], []
        for start, size in zip(_starts(self.level_sizes), self.level_sizes, strict=True):
            level = slice(start, start + size)
            scores, index = torch.topk(objectness[0, level], min(rule.candidates, size))
            chosen = F.embedding(index, deltas[0, level])
            boxes = decode(chosen, F.embedding(index, anchors_xyxy[level]), ANCHOR_WEIGHTS).clamp(0, 1)
            x1, y1, x2, y2 = boxes.split(1, dim=1)
            sound = ((x2 - x1) * (y2 - y1) > 0).reshape(-1).float() * (scores.sigmoid() >= rule.score).float()
            level_kept.append(static_nms(boxes, torch.zeros_like(scores), sound, rule.iou))
            level_scores.append(scores)
            level_boxes.append(boxes)
        scores, boxes, kept = torch.cat(level_scores), torch.cat(level_boxes), torch.cat(level_kept)
        # positive for kept boxes, in the order of the logits, because the sigmoids of high logits are all 1
        order = (scores - scores.amin(0) + 1) * kept
        count = min(rule.limit, order.shape[0])
        best, index = torch.topk(order, count)
        proposals = F.embedding(index, boxes) * (best > 0).float().unsqueeze(1)
        return F.pad(proposals, (0, 0, 0, rule.limit - count)).unsqueeze(0)


def _starts(level_sizes: Sequence[int]) -> list[int]:
    """Index of the first anchor of each level."""
    return [sum(level_sizes[:level]) for level in range(len(level_sizes))]
