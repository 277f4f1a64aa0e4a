"""From scores and boxes to detections: dynamic for batches in PyTorch, and with constant shapes for model files."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import batched_nms

from mobiledet.detectors.base import ImageDetections, StaticCandidates, StaticDetections
from mobiledet.ops.nms import static_nms
from mobiledet.spec import NmsSpec


def select_detections(boxes_xyxy: Tensor, scores: Tensor, nms: NmsSpec) -> list[ImageDetections]:
    """The ``top_k`` best (box, class) pairs of each image after non-maximum suppression within each class.

    Args:
        boxes_xyxy: N x A x 4 pixels; or N x AC x 4, a box for each (box, class) pair.
        scores: N x A x C in 0..1.
    """
    batch, _, num_classes = scores.shape
    pairs_per_box = scores[0].numel() // boxes_xyxy.shape[1]
    best, index = scores.flatten(1).topk(min(nms.top_k, scores[0].numel()), dim=1)
    labels = index % num_classes
    boxes = boxes_xyxy.gather(1, (index // pairs_per_box).unsqueeze(-1).expand(-1, -1, 4))
    image = torch.arange(batch, device=scores.device).unsqueeze(1).expand_as(index)
    candidate = best >= nms.score
    image, labels, best, boxes = image[candidate], labels[candidate], best[candidate], boxes[candidate]
    # one call for the whole batch, with a separate group for each class of each image; kept is sorted by score
    kept = batched_nms(boxes, best, image * num_classes + labels, nms.iou)
    image, labels, best, boxes = image[kept], labels[kept], best[kept], boxes[kept]
    by_image = image.argsort(stable=True)
    sizes = image.bincount(minlength=batch).tolist()
    columns = zip(boxes[by_image].split(sizes), best[by_image].split(sizes), labels[by_image].split(sizes), strict=True)
    limit = nms.max_detections
    return [ImageDetections(b[:limit], s[:limit], c[:limit]) for b, s, c in columns]


def select_candidates_static(
    ranks: Tensor, to_scores: Callable[[Tensor], Tensor], boxes_of: Callable[[Tensor], Tensor], top_k: int
) -> StaticCandidates:
    """The first half of ``select_detections`` for one image with constant shapes, including box decoding.

    It uses only operations that lower to one builtin each: top-k, row lookup by ``embedding``, float arithmetic instead
    of integer division. There are no tensors above 3-D and no 64-bit integers at run time.

    Args:
        ranks: A x C values with the same order as the scores, which may be cheaper to compute.
        to_scores: converts ranks to scores in 0..1.
        boxes_of: decodes the boxes of K rows, K x 4 xyxy in 0..1.
        top_k: number of candidates.
    """
    # the best (row, class) pairs are all in the rows with the highest maximum
    _, chosen = torch.topk(ranks.amax(1), min(top_k, len(ranks)))
    boxes = boxes_of(chosen)
    best, _, row, labels = best_pairs(F.embedding(chosen, ranks), top_k)
    return StaticCandidates(F.embedding(row, boxes), labels, to_scores(best))


def best_pairs(ranks: Tensor, top_k: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The best (row, class) pairs of A x C ranks, at most ``top_k``: their ranks, indices 0..AC-1, rows, and classes as
    floats, K each."""
    rows, classes = ranks.shape
    best, pair = torch.topk(ranks.reshape(-1), min(top_k, rows * classes))
    row = torch.floor((pair.float() + 0.5) / classes)
    return best, pair, row.to(torch.int32), pair.float() - row * classes


def suppress_static(candidates: StaticCandidates, nms: NmsSpec) -> StaticDetections:
    """The second half of ``select_detections`` with constant shapes: non-maximum suppression of the candidates."""
    boxes_xyxy, labels, scores = candidates
    keep = static_nms(boxes_xyxy, labels, (scores >= nms.score).float(), nms.iou)
    limit = min(nms.max_detections, len(scores))
    scores, index = torch.topk(scores * keep, limit)
    valid = (scores > 0).float()
    rows = F.embedding(index, torch.cat((boxes_xyxy, labels.reshape(-1, 1)), dim=1)) * valid.reshape(-1, 1)
    # slices before the batch dimension is added: x1 y1 x2 y2 label to y1 x1 y2 x2, label
    yxyx = torch.cat((rows[:, 1:2], rows[:, 0:1], rows[:, 3:4], rows[:, 2:3]), dim=1)
    padding = nms.max_detections - limit
    return StaticDetections(
        F.pad(yxyx, (0, 0, 0, padding)).unsqueeze(0),
        F.pad(rows[:, 4], (0, padding)).unsqueeze(0),
        F.pad(scores, (0, padding)).unsqueeze(0),
        valid.sum().reshape(1),
    )
