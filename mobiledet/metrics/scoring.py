"""From a stream of detections to mAP: training's validation, exported files and devices are all scored here."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from mobiledet.data.config import OnBadData
from mobiledet.data.dataset import DetectionSet, LabelledImage, LeftOut
from mobiledet.detections import Detections
from mobiledet.errors import UserError
from mobiledet.metrics.coco import CocoEvaluator
from mobiledet.truth import ImageId

Found = TypeVar("Found")


def collect(
    stream: Iterable[tuple[LabelledImage, Found, str]],
    on_bad_data: OnBadData = "error",
    take: Callable[[LabelledImage, Found], Any] = lambda image, found: None,
    tell: Callable[[], Any] = lambda: None,
) -> tuple[dict[ImageId, Found], list[LeftOut]]:
    """Take what was found in image after image, and what could not be read.

    Args:
        stream: an image, what was found in it, and why it cannot be scored, which is empty if it can.
        on_bad_data: with ``skip`` an image that cannot be scored is left out.
        take: is called for each that is scored, at once.
        tell: is called after each image.

    Returns:
        what was found, by image; and what is left out.

    Raises:
        UserError: an image is bad, and shall not be left out.
    """
    taken: dict[ImageId, Found] = {}
    left_out = []
    for image, found, problem in stream:
        if not problem:
            taken[image.id] = found
            take(image, found)
        elif on_bad_data == "skip":
            left_out.append(LeftOut("images that cannot be read", problem))
        else:
            raise UserError(f"{problem}; mend it or pass --on-bad-data skip")
        tell()
    return taken, left_out


def evaluator_of(
    labels: Sequence[str],
    dataset: DetectionSet,
    found: Mapping[ImageId, Detections],
    label_of: Sequence[int | None] | None = None,
) -> CocoEvaluator:
    """Holds detections against the objects of those images that were looked at; the others count in no score.

    Args:
        labels: class names of the model.
        dataset: images and what is on them.
        found: by image, boxes in its pixels.
        label_of: see ``CocoEvaluator``.
    """
    evaluator = CocoEvaluator(labels, {i.id: i.truth for i in dataset.images if i.id in found}, label_of)
    for image_id, detections in found.items():
        evaluator.add(image_id, detections)
    return evaluator


def require_boxes(dataset: DetectionSet, otherwise: str) -> None:
    """Refuse a set without a box to find: it has no mAP.

    Args:
        dataset: the set.
        otherwise: the option to do without.

    Raises:
        UserError: there is none.
    """
    if not any(dataset.objects):
        crowds = f", its {dataset.crowds} crowds aside" if dataset.crowds else ""
        raise UserError(
            f"{dataset.annotations} has no box to find in {len(dataset.images)} images{crowds}, so there is no mAP; "
            f"give annotated images with --data, or {otherwise}"
        )
