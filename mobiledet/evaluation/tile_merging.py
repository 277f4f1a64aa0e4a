"""Merges the detections in an image and in its tiles into one list.

Each object should be detected once and completely. A box is called cut if it ends at an edge of its tile that is not an
edge of the image. The rules, for each class:

1. Uncut boxes of different tiles whose IoU exceeds a threshold are one object: the best one is kept. Two boxes of one
   tile are two objects, as the model says.
2. Two boxes of different tiles agree if their IoU within the intersection of both tiles exceeds the threshold. A cut
   box that agrees with an uncut one is a piece of it and is removed, unless its score is at least four times as high. A
   piece is also removed if more than half of it lies in an uncut box with at least the same score.
3. Cut boxes that agree are pieces of one object: they become their hull, with the best score. A single one is kept.

The usual merging of sliced inference, by the covered fraction of the smaller box alone, removes small objects in front
of large ones of their class. Giving an object the best score of its pieces was tried, and reduced mAP.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mobiledet.detections import Detections

EDGE = 1 / 64  # distance from the edge, relative to the tile's side, within which a box counts as cut
COVERED = 0.5  # least covered fraction of a removed piece
WEAK = 0.25  # least score of an uncut box that replaces a piece, relative to the piece's score

Boxes = NDArray[np.float32]  # N x 4, xyxy, pixels of the image
Indices = NDArray[np.int64]


def merge(found: Sequence[Detections], slices: Sequence[tuple[int, int, int, int]], iou: float) -> Detections:
    """The merged detections in an image, best score first.

    Args:
        found: detections in the whole image and in each tile, boxes in pixels relative to their own corner.
        slices: left, top, right, bottom of each tile in pixels of the image; the whole image first.
        iou: least IoU of two boxes of one object.
    """
    if len(found) == 1:
        return found[0]
    areas = np.array(slices, np.float32)
    part = np.repeat(np.arange(len(found)), [len(each) for each in found])
    boxes = np.concatenate([each.boxes_xyxy for each in found]) + areas[part][:, [0, 1, 0, 1]]
    scores = np.concatenate([each.scores for each in found])
    labels = np.concatenate([each.labels for each in found])
    cut = _is_cut(boxes, areas[part], areas[0])

    first, second = _overlapping(boxes, labels, part, areas)
    alike = _iou(boxes[first], boxes[second]) > iou
    seen = _intersection(areas[part[first]], areas[part[second]])
    agree = _iou(_intersection(boxes[first], seen), _intersection(boxes[second], seen)) > iou
    both_cut, none_cut = cut[first] & cut[second], ~cut[first] & ~cut[second]

    one_cut = cut[first] != cut[second]
    piece = np.where(cut[first], first, second)[one_cut]
    uncut = np.where(cut[first], second, first)[one_cut]
    is_piece = agree[one_cut] & (scores[uncut] >= WEAK * scores[piece])
    covered = _area(_intersection(boxes[piece], boxes[uncut])) > COVERED * _area(boxes[piece])
    gone = np.zeros(len(scores), bool)
    gone[piece[is_piece | (covered & (scores[uncut] >= scores[piece]))]] = True

    order = np.argsort(-scores, kind="stable")
    rivals = _neighbours(first[none_cut & alike], second[none_cut & alike], len(scores))
    pieces = _neighbours(first[both_cut & agree], second[both_cut & agree], len(scores))
    kept: list[int] = []
    for index in order.tolist():
        if gone[index]:
            continue
        gone[index] = True
        kept.append(index)
        if not cut[index]:
            gone[rivals[index]] = True
        elif len(pieces[index]):
            boxes[index] = _hull(boxes, _joined(index, pieces, part, gone))
    return Detections(boxes[kept], scores[kept], labels[kept])


def _is_cut(boxes: Boxes, slices: Boxes, picture: Boxes) -> NDArray[np.bool_]:
    """Whether boxes end at an edge of their tile that is not an edge of the image."""
    margin = (slices[:, [2, 3, 2, 3]] - slices[:, [0, 1, 0, 1]]) * EDGE
    at_edge = np.abs(boxes - slices) <= margin
    return np.asarray((at_edge & (slices != picture)).any(axis=1))


def _overlapping(boxes: Boxes, labels: Indices, part: Indices, slices: Boxes) -> tuple[Indices, Indices]:
    """Pairs of boxes of one class and of different tiles that overlap."""
    members = np.split(np.arange(len(part)), np.cumsum(np.bincount(part, minlength=len(slices)))[:-1])
    firsts, seconds = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for a, b in _neighbouring(slices):
        rows, columns = members[a], members[b]
        if not len(rows) or not len(columns):
            continue
        common = _area(_intersection(boxes[rows][:, None], boxes[columns][None]))
        row, column = np.nonzero((common > 0) & (labels[rows][:, None] == labels[columns]))
        firsts.append(rows[row])
        seconds.append(columns[column])
    return np.concatenate(firsts), np.concatenate(seconds)


def _neighbouring(slices: Boxes) -> Iterator[tuple[int, int]]:
    """Pairs of tiles that overlap."""
    for a in range(len(slices) - 1):
        yield from ((a, a + 1 + b) for b in np.flatnonzero(_area(_intersection(slices[a], slices[a + 1 :]))).tolist())


def _neighbours(first: Indices, second: Indices, count: int) -> list[Indices]:
    """For each of ``count`` boxes, the boxes that it forms a pair with."""
    ends = np.concatenate([first, second])
    others = np.concatenate([second, first])[np.argsort(ends, kind="stable")]
    return np.split(others, np.cumsum(np.bincount(ends, minlength=count))[:-1]) if count else []


def _joined(seed: int, pieces: Sequence[Indices], part: Indices, gone: NDArray[np.bool_]) -> list[int]:
    """The pieces of the object of one piece, at most one for each tile; all of them are marked as gone."""
    members, slices = [seed], {int(part[seed])}
    for member in members:  # grows during the loop
        for other in pieces[member].tolist():
            if not gone[other] and int(part[other]) not in slices:
                gone[other] = True
                slices.add(int(part[other]))
                members.append(other)
    return members


def _hull(boxes: Boxes, members: Sequence[int]) -> Boxes:
    chosen = boxes[list(members)]
    return np.concatenate([chosen[:, :2].min(axis=0), chosen[:, 2:].max(axis=0)])


def _intersection(a: Boxes, b: Boxes) -> Boxes:
    """Intersections of boxes; with negative sides if they do not overlap."""
    return np.concatenate([np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])], axis=-1)


def _area(boxes: Boxes) -> NDArray[np.float32]:
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def _iou(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    common = _area(_intersection(a, b))
    return np.asarray(common / np.maximum(_area(a) + _area(b) - common, np.finfo(np.float32).tiny))
