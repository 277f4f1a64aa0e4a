"""COCO metrics of a PyTorch detector on a validation set."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed

from mobiledet.data.dataset import DetectionSet, LabelledImage
from mobiledet.data.loader import Batch
from mobiledet.detections import Detections
from mobiledet.detectors import Detector
from mobiledet.metrics.coco import CocoMetrics, PrecisionRecall
from mobiledet.metrics.scoring import collect, evaluator_of
from mobiledet.ops.images import normalize
from mobiledet.placement import Placement
from mobiledet.spec import ModelSpec
from mobiledet.truth import ImageId

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Validation:
    """Result of an evaluation.

    Attributes:
        metrics: COCO metrics.
        curves: the precision-recall curves that they are computed from.
        detections: detections by image id, for each image that could be read; boxes in pixels of the original image.
    """

    metrics: CocoMetrics
    curves: PrecisionRecall
    detections: Mapping[ImageId, Detections]


@torch.inference_mode()
def validate(
    detector: Detector,
    spec: ModelSpec,
    dataset: DetectionSet,
    batches: Iterable[Batch],
    device: torch.device,
    scorer: str = "hotcoco",
) -> Validation:
    """Run the detector on all batches and compute COCO metrics, with boxes in pixels of the original images.

    If several processes train together, each passes its share of the batches, and all get the metrics of the whole set.
    """
    was_training = detector.training
    detector.eval()
    found, _ = collect(_detected(detector, spec, dataset, batches, device))
    detector.train(was_training)
    found = gather(found)
    metrics, curves = evaluator_of(dataset.labels, dataset, found).score_with_curves(scorer)
    return Validation(metrics, curves, found)


def _detected(
    detector: Detector, spec: ModelSpec, dataset: DetectionSet, batches: Iterable[Batch], device: torch.device
) -> Iterator[tuple[LabelledImage, Detections, str]]:
    """The images that could be read, with their detections; the loader reports the others."""
    for batch in batches:
        found = detector.postprocess(detector(normalize(batch.images.to(device), spec.input)), spec.nms)
        sizes = batch.original_sizes.tolist()
        for index, (height, width), detections in zip(batch.indices.tolist(), sizes, found, strict=True):
            placement = Placement.of(height, width, spec.input)
            yield dataset.images[index], detections.to_image(placement), ""


def gather(share: dict[Key, Value]) -> dict[Key, Value]:
    """Merge the entries of all processes that train together; all of them must call this."""
    if not torch.distributed.is_initialized():
        return share
    shares: list[dict[Key, Value]] = [{}] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(shares, share)
    return {key: value for part in shares for key, value in part.items()}


def scores(metrics: CocoMetrics) -> dict[str, Any]:
    """The metrics as JSON values. Without objects a metric is None, where the scorers return -1."""

    def value(number: Any) -> Any:
        return None if isinstance(number, float) and number < 0 else number

    numbers = {name: value(number) for name, number in dataclasses.asdict(metrics).items()}
    return {**numbers, "per_class": {name: value(number) for name, number in metrics.per_class.items()}}
