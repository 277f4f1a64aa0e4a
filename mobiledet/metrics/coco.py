"""COCO's twelve metrics, computed by hotcoco, faster-coco-eval or pycocotools, which agree to 1e-12."""

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np

from mobiledet.detections import Detections
from mobiledet.errors import UserError, unknown_name
from mobiledet.records import Count, Range
from mobiledet.truth import ImageId, Truth

SCORERS = ("hotcoco", "faster-coco-eval", "pycocotools")
# in the order of COCOeval.stats
NUMBERS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


Precision = Annotated[float, Range(-1, 1)]  # or recall


@dataclass(frozen=True)
class CocoMetrics:
    """The metrics of COCOeval. Each is in 0..1, or -1 if the data set has no such objects, as in pycocotools.

    Attributes:
        AP: mean over IoU 0.50:0.05:0.95 and over classes, usually called mAP.
        AP50, AP75: AP at IoU 0.50 and 0.75.
        APs, APm, APl: AP for objects below 32 x 32 pixels, up to 96 x 96, and above.
        AR1, AR10, AR100: recall with 1, 10 and 100 detections per image; ARs, ARm, ARl: by size, with 100.
        per_class: AP of each class, by name.
        images: number of images scored.
        detections: number of detections scored.
    """

    AP: Precision
    AP50: Precision
    AP75: Precision
    APs: Precision
    APm: Precision
    APl: Precision
    AR1: Precision
    AR10: Precision
    AR100: Precision
    ARs: Precision
    ARm: Precision
    ARl: Precision
    per_class: dict[str, Precision] = field(default_factory=dict)
    images: Count = 0
    detections: Count = 0

    def __post_init__(self) -> None:
        if any(-1 < value < 0 for value in (*(getattr(self, name) for name in NUMBERS), *self.per_class.values())):
            raise ValueError("a precision or recall lies between -1 and 0")

    @property
    def has_score(self) -> bool:
        """Whether the data set has objects; without objects there is no mAP."""
        return self.AP >= 0


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """The precision-recall curves whose areas are the APs, for boxes of all sizes and 100 detections per image.

    Attributes:
        labels: class names.
        objects: number of boxes of each class, without crowds.
        ious: T thresholds, 0.50 to 0.95.
        recall: R = 101 steps, 0 to 1.
        precision: T x R x classes, the highest precision at that recall or a higher one; NaN for a class without
            objects.
    """

    labels: tuple[str, ...]
    objects: tuple[int, ...]
    ious: tuple[float, ...]
    recall: np.ndarray
    precision: np.ndarray

    def at(self, iou: float) -> np.ndarray:
        """R x classes: the curves at one of ``ious``."""
        curves: np.ndarray = self.precision[int(np.argmin(np.abs(np.array(self.ious) - iou)))]
        return curves


class CocoEvaluator:
    """Collects the detections of a data set and computes their metrics.

    Crowd boxes are treated as in COCOeval: detections in them count neither as correct nor as wrong. Images, classes
    and objects are renumbered for the scorers, which support only small integers: images in the order of their ids,
    classes in the order of the model. So metrics do not depend on the format of the annotations.

    Args:
        labels: class names of the model.
        truth: the objects of each image to score, by image id; images without detections count, too.
        label_of: for each class of the model, its label in the data set, or None if the data set does not have it; then
            its detections are dropped. By default both have the same labels.
    """

    def __init__(
        self, labels: Sequence[str], truth: Mapping[ImageId, Truth], label_of: Sequence[int | None] | None = None
    ) -> None:
        label_of = range(len(labels)) if label_of is None else label_of
        self._labels = tuple(labels)
        self._known = np.array([place is not None for place in label_of], bool)
        self._number = {image_id: n for n, image_id in enumerate(sorted(truth, key=image_order), start=1)}
        category_of = {place: label + 1 for label, place in enumerate(label_of) if place is not None}
        self._truth = _ground_truth(truth, self._number, category_of, self._labels)
        self._rows: dict[ImageId, np.ndarray] = {}

    def add(self, image_id: ImageId, detections: Detections) -> None:
        """Add the detections of one image, with boxes in pixels of that image; boxes are not clipped.

        Raises:
            ValueError: the image is not among those to score, or was added before.
            UserError: a score or a box is NaN, so that detections cannot be ordered.
        """
        if image_id in self._rows or image_id not in self._number:
            raise ValueError(f"image {image_id} was added before or is not one of the images to score")
        if np.isnan(detections.scores).any() or np.isnan(detections.boxes_xyxy).any():
            raise UserError(f"image {image_id}: the detector returned a score or a box that is NaN, so there is no mAP")
        kept = self._known[detections.labels]
        boxes = detections.boxes_xyxy[kept].astype(np.float64)
        self._rows[image_id] = np.column_stack(
            [
                np.full(len(boxes), self._number[image_id], np.float64),
                boxes[:, :2],
                boxes[:, 2:] - boxes[:, :2],
                detections.scores[kept],
                detections.labels[kept] + 1,
            ]
        )

    def score(self, scorer: str = SCORERS[0]) -> CocoMetrics:
        """The metrics of all detections that were added.

        Raises:
            UserError: ``scorer`` is not one of ``SCORERS``.
        """
        return self.score_with_curves(scorer)[0]

    def score_with_curves(self, scorer: str = SCORERS[0]) -> tuple[CocoMetrics, PrecisionRecall]:
        """The metrics of all detections that were added, and the precision-recall curves.

        Raises:
            UserError: ``scorer`` is not one of ``SCORERS``.
        """
        if scorer not in SCORERS:
            raise unknown_name("scorer", scorer, SCORERS)
        rows = self._all_rows()
        names = [self._labels[category - 1] for category in self.categories]
        evaluation = self._evaluated(scorer, rows)
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.accumulate()
            evaluation.summarize()
        # IoU thresholds x recall thresholds x classes, for all areas and 100 detections
        precision = np.asarray(evaluation.eval["precision"])[:, :, :, 0, -1]
        objects = np.bincount(
            [a["category_id"] for a in self._truth["annotations"] if not a["iscrowd"]], minlength=len(self._labels) + 1
        )
        metrics = CocoMetrics(
            **dict(zip(NUMBERS, map(float, evaluation.stats), strict=True)),
            per_class={name: _mean(precision[:, :, k]) for k, name in enumerate(names)},
            images=len(self._number),
            detections=len(rows),
        )
        curves = PrecisionRecall(
            labels=tuple(names),
            objects=tuple(objects[self.categories].tolist()),
            ious=tuple(float(iou) for iou in evaluation.params.iouThrs),
            recall=np.array(evaluation.params.recThrs),
            precision=np.where(precision > -1, precision, np.nan),
        )
        return metrics, curves

    @property
    def categories(self) -> list[int]:
        """The scorers' category ids of the classes that the data set has: the model's labels plus one."""
        return [label + 1 for label in np.flatnonzero(self._known).tolist()]

    def diagnosed(self, thresholds: Sequence[float] | None = None) -> Any:
        """hotcoco's COCOeval after ``evaluate``, for analyses beyond COCO's metrics.

        Args:
            thresholds: score threshold of each class; detections below it are left out. None keeps all.
        """
        rows = self._all_rows()
        if thresholds is not None:
            rows = rows[rows[:, 5] >= np.array(thresholds)[rows[:, 6].astype(np.int64) - 1]]
        return self._evaluated("hotcoco", rows)

    def _all_rows(self) -> np.ndarray:
        """A row for each detection: image number, left, top, width, height, score, category id."""
        return np.concatenate([np.zeros((0, 7)), *(self._rows[i] for i in self._number if i in self._rows)])

    def _evaluated(self, scorer: str, rows: np.ndarray) -> Any:
        new_coco, new_evaluation = _classes(scorer)
        with contextlib.redirect_stdout(io.StringIO()):
            if scorer == "hotcoco":  # accepts the rows directly
                truth = new_coco(self._truth)
                found = truth.load_res(rows)
            else:
                truth = _indexed(new_coco, self._truth)
                found = _indexed(new_coco, {**self._truth, "annotations": _annotations(rows)})
            evaluation = new_evaluation(truth, found, "bbox")
            evaluation.params.imgIds = list(self._number.values())
            evaluation.params.catIds = self.categories
            evaluation.evaluate()
        return evaluation


def _classes(scorer: str) -> tuple[Any, Any]:
    """The classes COCO and COCOeval of a scorer."""
    if scorer == "hotcoco":
        import hotcoco

        return hotcoco.COCO, hotcoco.COCOeval
    if scorer == "faster-coco-eval":
        import faster_coco_eval

        return faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    return COCO, COCOeval


def image_order(image_id: ImageId) -> tuple[bool, int | str]:
    """Sort key of image ids: integers in numerical order, then strings."""
    return isinstance(image_id, str), image_id


def _ground_truth(
    truth: Mapping[ImageId, Truth], number: Mapping[ImageId, int], category_of: Mapping[int, int], labels: Sequence[str]
) -> dict[str, Any]:
    """The objects as COCO JSON, with the fields that scoring boxes needs.

    Annotation ids start at 1, because scorers interpret the id 0 as "not matched".
    """
    annotations: list[dict[str, Any]] = []
    for image_id, image in number.items():
        objects = truth[image_id]
        columns = (objects.boxes_xywh, objects.areas, objects.labels, objects.is_crowd)
        annotations += [
            {
                "id": index,
                "image_id": image,
                "category_id": category_of[label],
                "bbox": box,
                "area": area,
                "iscrowd": int(is_crowd),
            }
            for index, (box, area, label, is_crowd) in enumerate(
                zip(*(column.tolist() for column in columns), strict=True), start=len(annotations) + 1
            )
        ]
    return {
        "info": {},
        "images": [{"id": image} for image in number.values()],
        "categories": [{"id": index, "name": name} for index, name in enumerate(labels, start=1)],
        "annotations": annotations,
    }


def _annotations(rows: np.ndarray) -> list[dict[str, Any]]:
    """Rows of (image id, x, y, width, height, score, category id) as COCO result annotations."""
    areas = rows[:, 3] * rows[:, 4]
    return [
        {
            "id": index,
            "image_id": int(row[0]),
            "bbox": row[1:5],
            "area": area,
            "score": row[5],
            "category_id": int(row[6]),
        }
        for index, (row, area) in enumerate(zip(rows.tolist(), areas.tolist(), strict=True), start=1)
    ]


def _indexed(coco: Any, dataset: dict[str, Any]) -> Any:
    """A scorer's COCO object for a data set in memory."""
    indexed = coco()
    indexed.dataset = dataset
    indexed.createIndex()
    return indexed


def _mean(precision: np.ndarray) -> float:
    """Mean of the entries that are defined (-1 marks a class without objects)."""
    defined = precision[precision > -1]
    return float(defined.mean()) if defined.size else -1.0
