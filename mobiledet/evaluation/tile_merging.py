"""One list of objects from those of a picture and of its slices.

Each object shall come out once and whole. A box is cut where it ends at an edge of its slice that is none of the
picture. The rule, class by class:

1. Uncut boxes of different slices that overlap by more than an IoU are one object: the best stays. Two of one slice
   are two objects, as the model says.
2. Two boxes of different slices agree where their IoU is as much within what both slices see. A cut box that agrees
   with an uncut one is a piece of it and goes, unless it scores four times as well. So goes a piece of which more than
   half lies in an uncut box that scores at least as well.
3. Cut boxes that agree are pieces of one object: their hull, the best score. One that stands alone stays as it is.

The usual merging of sliced inference, by the share of the smaller box alone, swallows small objects before large ones
of their class. Giving an object the best score of its pieces was tried, and cost mAP: pieces mislead.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mobiledet.detections import Detections

EDGE = 1 / 64  # of a slice's side: how near to its edge a box is cut
COVERED = 0.5  # share of a piece
WEAK = 0.25  # of a piece's score: what scores less says nothing of it

Boxes = NDArray[np.float32]  # N x 4, xyxy, pixels of the picture
Indices = NDArray[np.int64]


def merge(found: Sequence[Detections], slices: Sequence[tuple[int, int, int, int]], iou: float) -> Detections:
    """The objects of a picture, best score first.

    Args:
        found: in the whole picture and in each slice, boxes in their own pixels.
        slices: left, top, right, bottom of each, the whole picture first.
        iou: of two boxes of one object, at least.
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
    """Whether boxes end at an edge of their slices that is none of the picture."""
    margin = (slices[:, [2, 3, 2, 3]] - slices[:, [0, 1, 0, 1]]) * EDGE
    at_edge = np.abs(boxes - slices) <= margin
    return np.asarray((at_edge & (slices != picture)).any(axis=1))


def _overlapping(boxes: Boxes, labels: Indices, part: Indices, slices: Boxes) -> tuple[Indices, Indices]:
    """Pairs of boxes of one class and of different slices that have an area in common."""
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
    """Pairs of slices that have an area in common."""
    for a in range(len(slices) - 1):
        yield from ((a, a + 1 + b) for b in np.flatnonzero(_area(_intersection(slices[a], slices[a + 1 :]))).tolist())


def _neighbours(first: Indices, second: Indices, count: int) -> list[Indices]:
    """For each of so many boxes those that it makes a pair with."""
    ends = np.concatenate([first, second])
    others = np.concatenate([second, first])[np.argsort(ends, kind="stable")]
    return np.split(others, np.cumsum(np.bincount(ends, minlength=count))[:-1]) if count else []


def _joined(seed: int, pieces: Sequence[Indices], part: Indices, gone: NDArray[np.bool_]) -> list[int]:
    """The pieces that belong together with one, at most one of each slice; all of them are taken."""
    members, slices = [seed], {int(part[seed])}
    for member in members:  # which grows
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
    """What boxes have in common; turned inside out where that is nothing."""
    return np.concatenate([np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])], axis=-1)


def _area(boxes: Boxes) -> NDArray[np.float32]:
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def _iou(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    common = _area(_intersection(a, b))
    return np.asarray(common / np.maximum(_area(a) + _area(b) - common, np.finfo(np.float32).tiny))
