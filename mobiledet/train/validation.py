"""COCO metrics of a PyTorch detector on a validation set."""

from collections.abc import Iterable

import torch

from mobiledet.data.coco import CocoDataset
from mobiledet.data.loader import Batch
from mobiledet.detections import Detections
from mobiledet.detectors import Detector
from mobiledet.metrics.coco import CocoEvaluator, CocoMetrics
from mobiledet.ops.images import normalize
from mobiledet.spec import ModelSpec


@torch.inference_mode()
def validate(
    detector: Detector, spec: ModelSpec, dataset: CocoDataset, batches: Iterable[Batch], device: torch.device
) -> CocoMetrics:
    """Run the detector over all batches and score its detections in the pixels of the original images."""
    was_training = detector.training
    detector.eval()
    evaluator = CocoEvaluator(dataset.annotations, dataset.category_ids, [image.id for image in dataset.images])
    for batch in batches:
        images = normalize(batch.images.to(device), spec.input)
        found = detector.postprocess(detector(images), spec.nms)
        sizes = batch.original_sizes.tolist()
        for image_id, (height, width), detections in zip(batch.image_ids.tolist(), sizes, found, strict=True):
            scale = torch.tensor([width, height, width, height]) / torch.tensor(
                [spec.input.width, spec.input.height, spec.input.width, spec.input.height]
            )
            evaluator.add(
                image_id,
                Detections(
                    (detections.boxes_xyxy.cpu() * scale).numpy(),
                    detections.scores.cpu().numpy(),
                    detections.labels.cpu().numpy(),
                ),
            )
    detector.train(was_training)
    return evaluator.score()
