"""From a stream of detections to metrics, for validation in training, exported files and devices alike."""

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
    on_result: Callable[[LabelledImage, Found], Any] = lambda image, found: None,
    on_progress: Callable[[], Any] = lambda: None,
) -> tuple[dict[ImageId, Found], list[LeftOut]]:
    """Collect the results of a stream of images, and the images that could not be read.

    Args:
        stream: for each image: the image, its result, and why it cannot be scored, which is empty if it can.
        on_bad_data: with ``skip`` an image that cannot be scored is left out.
        on_result: called for each image that can be scored, before the next one is requested.
        on_progress: called after each image.

    Returns:
        the results by image id; and the images that are left out.

    Raises:
        UserError: an image cannot be scored, and ``on_bad_data`` is ``error``.
    """
    results: dict[ImageId, Found] = {}
    left_out = []
    for image, found, problem in stream:
        if not problem:
            results[image.id] = found
            on_result(image, found)
        elif on_bad_data == "skip":
            left_out.append(LeftOut("images that cannot be read", problem))
        else:
            raise UserError(f"{problem}; fix it or pass --on-bad-data skip")
        on_progress()
    return results, left_out


def evaluator_of(
    labels: Sequence[str],
    dataset: DetectionSet,
    found: Mapping[ImageId, Detections],
    label_of: Sequence[int | None] | None = None,
) -> CocoEvaluator:
    """An evaluator with the detections and objects of all images in ``found``; other images are not scored.

    Args:
        labels: class names of the model.
        dataset: images and their objects.
        found: detections by image id, with boxes in pixels of the image.
        label_of: see ``CocoEvaluator``.
    """
    evaluator = CocoEvaluator(labels, {i.id: i.truth for i in dataset.images if i.id in found}, label_of)
    for image_id, detections in found.items():
        evaluator.add(image_id, detections)
    return evaluator


def require_boxes(dataset: DetectionSet, otherwise: str) -> None:
    """Refuse a data set without boxes, which has no mAP.

    Args:
        dataset: the data set.
        otherwise: the option that makes mAP unnecessary, for the error message.

    Raises:
        UserError: the data set has no boxes.
    """
    if not any(dataset.objects):
        crowds = f" apart from {dataset.crowds} crowds" if dataset.crowds else ""
        raise UserError(
            f"{dataset.annotations} has no boxes in {len(dataset.images)} images{crowds}, so there is no mAP; "
            f"give annotated images with --data, or {otherwise}"
        )
