"""COCO's matching of the detections and the objects of a data set.

It uses boxes of all sizes, and 100 detections per image and class, as for COCO's mAP.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mobiledet.detections import Detections
from mobiledet.metrics.coco import image_order
from mobiledet.truth import ImageId, Truth

IOUS = np.linspace(0.5, 0.95, 10)
MAX_DETECTIONS = 100  # of an image and class
MAX_AREA = 1e10  # square pixels; COCOeval ignores what is larger, as it does crowds

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Matches:
    """N detections and M objects of a data set, and their matches at T = 10 IoU thresholds.

    Detections are ordered as in COCOeval: by class, then by descending score, then by image, then as they were given.

    Attributes:
        labels: class names of the model, C.
        image_ids: ids of the images, I; ``image`` is an index into them.
        image, label, score: N; image index, label and score of each detection.
        row: N; its index in the ``Detections`` of its image.
        object: T x N; index of the matched object, -1 for none.
        ignored: T x N bool; whether it counts neither as correct nor as wrong, because it is in a crowd.
        object_image, object_label: M; image index and label of each object, by image and then as annotated.
        object_ignored: M bool; whether it is a crowd, which need not be detected.
        cut: number of detections beyond the 100 best of an image and class, which are left out.
    """

    labels: tuple[str, ...]
    image_ids: tuple[ImageId, ...]
    image: NDArray[np.int64]
    label: NDArray[np.int64]
    score: Floats
    row: NDArray[np.int64]
    object: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    object_image: NDArray[np.int64]
    object_label: NDArray[np.int64]
    object_ignored: NDArray[np.bool_]
    cut: int

    def __len__(self) -> int:
        return len(self.score)

    @cached_property
    def true(self) -> NDArray[np.bool_]:
        """T x N; whether the detection is correct: matched with an object of its class."""
        return (self.object >= 0) & ~self.ignored

    @cached_property
    def false(self) -> NDArray[np.bool_]:
        """T x N; whether the detection is wrong: matched with no object."""
        return (self.object < 0) & ~self.ignored

    @cached_property
    def objects(self) -> NDArray[np.int64]:
        """I x C; number of objects of each class in each image, without crowds."""
        counts = np.zeros((len(self.image_ids), len(self.labels)), np.int64)
        np.add.at(counts, (self.object_image[~self.object_ignored], self.object_label[~self.object_ignored]), 1)
        return counts

    def of_class(self, label: int) -> slice:
        """The range of the detections of a class."""
        return slice(*np.searchsorted(self.label, [label, label + 1]).tolist())


def match_detections(
    labels: Sequence[str],
    truth: Mapping[ImageId, Truth],
    found: Mapping[ImageId, Detections],
    label_of: Sequence[int | None] | None = None,
) -> Matches:
    """Match the detections of a data set with its objects as COCOeval does.

    Detections are matched by descending score: each with the unmatched object that it overlaps most, the last one if
    several are equal, and with a crowd only if there is no other.

    Args:
        labels: class names of the model.
        truth: the objects of each image.
        found: the detections in each image; a missing image has none.
        label_of: see ``CocoEvaluator``.

    Raises:
        ValueError: ``found`` has an image that ``truth`` does not have.
    """
    if unknown := found.keys() - truth.keys():
        raise ValueError(f"image {next(iter(unknown))} is not one of the images to score")
    places: Sequence[int | None] = range(len(labels)) if label_of is None else label_of
    image_ids = tuple(sorted(truth, key=image_order))
    objects = [truth[image_id] for image_id in image_ids]
    detections = [found.get(image_id, Detections.empty()) for image_id in image_ids]

    # label of the model for each class of the data set, -1 for none
    own = np.full(1 + max((place for place in places if place is not None), default=-1), -1)
    for index, place in enumerate(places):
        if place is not None:
            own[place] = index
    object_image = np.repeat(np.arange(len(objects)), [len(t) for t in objects])
    object_label = own[np.concatenate([np.zeros(0, np.int64), *(t.labels for t in objects)])]
    object_boxes = np.concatenate([np.zeros((0, 4)), *(t.boxes_xywh for t in objects)])
    object_areas = np.concatenate([np.zeros(0), *(t.areas for t in objects)])
    crowd = np.concatenate([np.zeros(0, np.bool_), *(t.is_crowd for t in objects)])
    object_ignored = crowd | _out_of_range(object_areas)

    image = np.repeat(np.arange(len(detections)), [len(d) for d in detections])
    row = np.concatenate([np.zeros(0, np.int64), *(np.arange(len(d)) for d in detections)])
    label = np.concatenate([np.zeros(0, np.int64), *(d.labels for d in detections)])
    score = np.concatenate([np.zeros(0), *(d.scores.astype(np.float64) for d in detections)])
    boxes = np.concatenate([np.zeros((0, 4)), *(d.boxes_xyxy.astype(np.float64) for d in detections)])
    boxes[:, 2:] -= boxes[:, :2]

    scored = np.array([place is not None for place in places], np.bool_)[label]
    order = np.lexsort((-score, image, label))
    order = order[scored[order]]
    rank = _rank_in_group(label[order] * len(objects) + image[order])
    kept, rank = order[rank < MAX_DETECTIONS], rank[rank < MAX_DETECTIONS]
    by_score = np.lexsort((-score[kept], label[kept]))
    kept, rank = kept[by_score], rank[by_score]
    image, label, score, row, boxes = image[kept], label[kept], score[kept], row[kept], boxes[kept]

    pairs = _pairs(image * len(labels) + label, object_image * len(labels) + object_label)
    detection, candidate, iou = _overlapping(*pairs, boxes, object_boxes, crowd)
    matched = _greedy(detection, candidate, iou, rank, object_ignored, crowd, len(score))
    ignored = np.where(
        matched >= 0, np.append(object_ignored, False)[matched], _out_of_range(boxes[:, 2] * boxes[:, 3])
    )
    return Matches(
        labels=tuple(labels),
        image_ids=image_ids,
        image=image,
        label=label,
        score=score,
        row=row,
        object=matched,
        ignored=ignored,
        object_image=object_image,
        object_label=object_label,
        object_ignored=object_ignored,
        cut=len(order) - len(kept),
    )


def _greedy(
    detection: NDArray[np.int64],
    candidate: NDArray[np.int64],
    iou: Floats,
    rank: NDArray[np.int64],
    ignored: NDArray[np.bool_],
    crowd: NDArray[np.bool_],
    count: int,
) -> NDArray[np.int64]:
    """The object that each detection is matched with, T x count. Each round handles all detections of the same rank in
    their image and class."""
    order = np.lexsort((-candidate, -iou, ignored[candidate], detection, rank[detection]))
    detection, candidate, iou = detection[order], candidate[order], iou[order]
    matched = np.full((len(IOUS), count), -1)
    taken = np.zeros((len(IOUS), len(crowd)), np.bool_)
    starts = np.flatnonzero(np.diff(rank[detection], prepend=-1)).tolist()
    for start, end in zip(starts, [*starts[1:], len(order)], strict=False):
        here, objects = detection[start:end], candidate[start:end]
        free = (iou[start:end] >= IOUS[:, None]) & ~taken[:, objects]
        firsts = np.flatnonzero(np.diff(here, prepend=-1))
        places = np.minimum.reduceat(np.where(free, np.arange(end - start), end - start), firsts, axis=1)
        t, which = np.nonzero(places < end - start)
        chosen = objects[places[t, which]]
        matched[t, here[firsts[which]]] = chosen
        taken[t, chosen] = ~crowd[chosen]
    return matched


def _pairs(groups: NDArray[np.int64], object_groups: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of all pairs of a detection and an object in the same group."""
    by_group = np.argsort(object_groups, kind="stable")
    ordered = object_groups[by_group]
    first, last = np.searchsorted(ordered, groups, side="left"), np.searchsorted(ordered, groups, side="right")
    counts = last - first
    detection = np.repeat(np.arange(len(groups)), counts)
    within = np.arange(len(detection)) - np.repeat(np.cumsum(counts) - counts, counts)
    return detection, by_group[np.repeat(first, counts) + within]


def _overlapping(
    detection: NDArray[np.int64],
    candidate: NDArray[np.int64],
    boxes: Floats,
    object_boxes: Floats,
    crowd: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Pairs whose IoU reaches the lowest threshold, and their IoU; for a crowd the fraction of the detection inside it.

    Boxes are (left, top, width, height). Operations have the same order as in pycocotools, for identical rounding.
    """
    ours, theirs = boxes[detection], object_boxes[candidate]
    sides = np.minimum(ours[:, 2:] + ours[:, :2], theirs[:, 2:] + theirs[:, :2]) - np.maximum(
        ours[:, :2], theirs[:, :2]
    )
    inside = sides[:, 0] * sides[:, 1]
    area, object_area = ours[:, 2] * ours[:, 3], theirs[:, 2] * theirs[:, 3]
    union = np.where(crowd[candidate], area, area + object_area - inside)
    iou = np.divide(inside, union, out=np.zeros_like(inside), where=(sides > 0).all(axis=1))
    kept = iou >= IOUS[0]
    return detection[kept], candidate[kept], iou[kept]


def _rank_in_group(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rank of each element in its group; the elements of a group must be consecutive."""
    firsts = np.flatnonzero(np.diff(groups, prepend=-1))
    return np.arange(len(groups)) - np.repeat(firsts, np.diff(firsts, append=len(groups)))


def _out_of_range(areas: Floats) -> NDArray[np.bool_]:
    return (areas < 0) | (areas > MAX_AREA)
