"""COCO metrics of a PyTorch detector on a validation set."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed

from mobiledet.data.coco import CocoDataset
from mobiledet.data.loader import Batch
from mobiledet.detections import Detections
from mobiledet.detectors import Detector
from mobiledet.metrics.coco import CocoEvaluator, CocoMetrics, PrecisionRecall
from mobiledet.ops.images import normalize
from mobiledet.spec import ModelSpec

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
    detections: Mapping[int, Detections]


@torch.inference_mode()
def validate(
    detector: Detector,
    spec: ModelSpec,
    dataset: CocoDataset,
    batches: Iterable[Batch],
    device: torch.device,
    scorer: str = "faster-coco-eval",
) -> Validation:
    """Run the detector over all batches and score its detections in the pixels of the original images.

    Where several processes train together each is given its share of the batches, and all get the score of the whole.
    """
    was_training = detector.training
    detector.eval()
    by_image: dict[int, Detections] = {}
    for batch in batches:
        images = normalize(batch.images.to(device), spec.input)
        found = detector.postprocess(detector(images), spec.nms)
        sizes = batch.original_sizes.tolist()
        for image_id, (height, width), detections in zip(batch.image_ids.tolist(), sizes, found, strict=True):
            scale = torch.tensor([width, height, width, height]) / torch.tensor(
                [spec.input.width, spec.input.height, spec.input.width, spec.input.height]
            )
            by_image[image_id] = Detections(
                (detections.boxes_xyxy.cpu() * scale).numpy(),
                detections.scores.cpu().numpy(),
                detections.labels.cpu().numpy(),
            )
    detector.train(was_training)
    by_image = gather(by_image)
    # of the images that could be read: those that were skipped as bad count in no score
    evaluator = CocoEvaluator(dataset.annotations, dataset.category_ids, list(by_image))
    for image_id, found_there in sorted(by_image.items()):
        evaluator.add(image_id, found_there)
    metrics, curves = evaluator.score_with_curves(scorer)
    return Validation(metrics, curves, by_image)


def gather(share: dict[Key, Value]) -> dict[Key, Value]:
    """The entries of all processes that train together; of this one where it is alone."""
    if not torch.distributed.is_initialized():
        return share
    shares: list[dict[Key, Value]] = [{}] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(shares, share)
    return {key: value for part in shares for key, value in part.items()}
