"""COCO's twelve numbers for a set of detections, by faster-coco-eval or by pycocotools, which agree to 1e-12."""

import contextlib
import io
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from mobiledet.detections import Detections
from mobiledet.errors import UserError, unknown_name
from mobiledet.records import Count, Range
from mobiledet.spec import read_json

SCORERS = ("faster-coco-eval", "pycocotools")
# in the order of COCOeval.stats
NUMBERS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


Precision = Annotated[float, Range(-1, 1)]  # or recall


@dataclass(frozen=True)
class CocoMetrics:
    """What COCOeval says. Every number is in 0..1, or -1 where the data set has no such object, as in pycocotools.

    Attributes:
        AP: mean over IoU 0.50:0.05:0.95 and over classes, the number quoted as mAP.
        AP50, AP75: at one IoU.
        APs, APm, APl: objects below 32 x 32 pixels, up to 96 x 96, and above.
        AR1, AR10, AR100: recall with so many detections for each image; ARs, ARm, ARl: by size, with 100.
        per_class: AP of each class, by name.
        images: images scored.
        detections: detections scored.
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


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """The curves whose areas are the APs: boxes of all sizes, 100 detections for each image.

    Attributes:
        labels: classes.
        objects: boxes of each class that are to be found, crowds left out.
        ious: T thresholds, 0.50 to 0.95.
        recall: R = 101 steps, 0 to 1.
        precision: T x R x classes, each the best that is reached at that recall or beyond; NaN for a class without
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
    """Collects the detections of a data set and scores them.

    Crowd boxes take part as COCOeval has it: what they cover counts neither as found nor as wrong.

    Args:
        annotations: a COCO instances JSON.
        category_ids: the data set's category id of each label; None for a label that the data set does not know,
            whose detections are dropped.
        image_ids: the images to score; those without any detection count too.

    Raises:
        UserError: the file cannot be read or is not COCO.
    """

    def __init__(self, annotations: Path, category_ids: Sequence[int | None], image_ids: Sequence[int]) -> None:
        self._image_ids = frozenset(image_ids)
        self._truth = _ground_truth(annotations, self._image_ids)
        self._names = {category["id"]: str(category["name"]) for category in self._truth["categories"]}
        missing = sorted({c for c in category_ids if c is not None} - self._names.keys())
        if missing:
            raise UserError(f"{annotations}: no category with id {missing[0]}; its categories are {self._names}")
        self._known = np.array([c is not None for c in category_ids], bool)
        self._category_ids = np.array([-1 if c is None else c for c in category_ids], np.int64)
        self._rows: dict[int, np.ndarray] = {}

    def add(self, image_id: int, detections: Detections) -> None:
        """Take the detections of one image, boxes in pixels of that image; nothing is clipped.

        Raises:
            ValueError: the image is not among those to score, or was added before.
        """
        if image_id in self._rows or image_id not in self._image_ids:
            raise ValueError(f"image {image_id} was added before or is not one of the images to score")
        kept = self._known[detections.labels]
        boxes = detections.boxes_xyxy[kept].astype(np.float64)
        self._rows[image_id] = np.column_stack(
            [
                np.full(len(boxes), image_id, np.float64),
                boxes[:, :2],
                boxes[:, 2:] - boxes[:, :2],
                detections.scores[kept],
                self._category_ids[detections.labels[kept]],
            ]
        )

    def score(self, scorer: str = "faster-coco-eval") -> CocoMetrics:
        """The numbers of all that was added.

        Raises:
            UserError: ``scorer`` is not one of ``SCORERS``.
        """
        return self.score_with_curves(scorer)[0]

    def score_with_curves(self, scorer: str = "faster-coco-eval") -> tuple[CocoMetrics, PrecisionRecall]:
        """The numbers of all that was added, and the curves behind them.

        Raises:
            UserError: ``scorer`` is not one of ``SCORERS``.
        """
        if scorer not in SCORERS:
            raise unknown_name("scorer", scorer, SCORERS)
        if scorer == "pycocotools":
            from pycocotools.coco import COCO
            from pycocotools.cocoeval import COCOeval
        else:
            from faster_coco_eval import COCO
            from faster_coco_eval import COCOeval_faster as COCOeval
        rows = np.concatenate([np.zeros((0, 7)), *self._rows.values()])
        found = {**self._truth, "annotations": _annotations(rows)}
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(_indexed(COCO, self._truth), _indexed(COCO, found), "bbox")
            evaluation.params.imgIds = sorted(self._image_ids)
            evaluation.params.catIds = sorted({int(c) for c in self._category_ids[self._known]})
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        # IoU thresholds x recall thresholds x classes, for all areas and 100 detections
        precision = evaluation.eval["precision"][:, :, :, 0, -1]
        scored: list[int] = evaluation.params.catIds
        objects = Counter(a["category_id"] for a in self._truth["annotations"] if not a["iscrowd"])
        metrics = CocoMetrics(
            **dict(zip(NUMBERS, map(float, evaluation.stats), strict=True)),
            per_class={self._names[c]: _mean(precision[:, :, k]) for k, c in enumerate(scored)},
            images=len(self._image_ids),
            detections=len(rows),
        )
        curves = PrecisionRecall(
            labels=tuple(self._names[c] for c in scored),
            objects=tuple(objects[c] for c in scored),
            ious=tuple(float(iou) for iou in evaluation.params.iouThrs),
            recall=np.array(evaluation.params.recThrs),
            precision=np.where(precision > -1, precision, np.nan),
        )
        return metrics, curves


def _ground_truth(annotations: Path, image_ids: frozenset[int]) -> dict[str, Any]:
    """The part of a COCO JSON that scoring boxes needs, for some of its images.

    Annotations are numbered anew from 1: both scorers take the id 0 for "not matched". Those without an image, a
    category or a box of four numbers are left out; reading the data set reports them.
    """
    listing = read_json(annotations)
    try:
        images = [image for image in listing["images"] if isinstance(image, dict) and _id(image, "id") in image_ids]
        categories = {category["id"]: category for category in listing["categories"]}
        boxes = [a for a in listing["annotations"] if _is_box(a) and _id(a, "image_id") in image_ids]
        return {
            "info": {},
            "images": images,
            "categories": list(categories.values()),
            "annotations": [
                {
                    "id": index,
                    "image_id": box["image_id"],
                    "category_id": box["category_id"],
                    "bbox": [float(value) for value in box["bbox"]],
                    "area": _area(box),
                    "iscrowd": int(bool(box.get("iscrowd"))),
                }
                for index, box in enumerate((box for box in boxes if _id(box, "category_id") in categories), start=1)
            ],
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{annotations} is not a COCO instances file ({error!r}); give annotations/instances_*.json"
        ) from error


def _id(record: dict[str, Any], key: str) -> int | None:
    """The id under a key; None where there is none."""
    value = record.get(key)
    return value if isinstance(value, int) else None


def _area(annotation: dict[str, Any]) -> float:
    """The object's area in square pixels; that of its box where the file gives none."""
    area = annotation.get("area")
    if isinstance(area, int | float) and math.isfinite(area):
        return float(area)
    _, _, width, height = annotation["bbox"]
    return float(width * height)


def _is_box(annotation: Any) -> bool:
    box = annotation.get("bbox") if isinstance(annotation, dict) else None
    return (
        isinstance(box, list)
        and len(box) == 4
        and all(isinstance(value, int | float) and math.isfinite(value) for value in box)
    )


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
    """A scorer's own COCO object over a data set that is in memory."""
    indexed = coco()
    indexed.dataset = dataset
    indexed.createIndex()
    return indexed


def _mean(precision: np.ndarray) -> float:
    """Mean of the entries that are defined (-1 marks a class without objects)."""
    defined = precision[precision > -1]
    return float(defined.mean()) if defined.size else -1.0
