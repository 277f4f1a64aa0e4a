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
    """What an evaluation found.

    Attributes:
        metrics: the numbers.
        curves: precision and recall behind them.
        detections: of each image that could be read, by its id, in its pixels.
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
    """Run the detector over all batches and score its detections in the pixels of the original images.

    Where several processes train together each is given its share of the batches, and all get the score of the whole.
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
    """Of the images that could be read; the loader tells of the others."""
    for batch in batches:
        found = detector.postprocess(detector(normalize(batch.images.to(device), spec.input)), spec.nms)
        sizes = batch.original_sizes.tolist()
        for index, (height, width), detections in zip(batch.indices.tolist(), sizes, found, strict=True):
            placement = Placement.of(height, width, spec.input)
            yield dataset.images[index], detections.to_picture(placement), ""


def gather(share: dict[Key, Value]) -> dict[Key, Value]:
    """The entries of all processes that train together; of this one where it is alone."""
    if not torch.distributed.is_initialized():
        return share
    shares: list[dict[Key, Value]] = [{}] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(shares, share)
    return {key: value for part in shares for key, value in part.items()}


def scores(metrics: CocoMetrics) -> dict[str, Any]:
    """The numbers as JSON values; None where there is nothing to find, for which the scorers say -1."""

    def value(number: Any) -> Any:
        return None if isinstance(number, float) and number < 0 else number

    numbers = {name: value(number) for name, number in dataclasses.asdict(metrics).items()}
    return {**numbers, "per_class": {name: value(number) for name, number in metrics.per_class.items()}}
