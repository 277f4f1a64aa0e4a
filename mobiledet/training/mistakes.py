"""The errors of an evaluation in training: the confusion of classes, and the worst images with the reasons."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobiledet.data.dataset import DetectionSet
from mobiledet.data.images import load_rgb
from mobiledet.detections import Detections
from mobiledet.drawing.pictures import draw_detections
from mobiledet.metrics.errors import confused_pairs, confusion, image_errors
from mobiledet.metrics.matches import match_detections
from mobiledet.metrics.thresholds import Rule, choose_thresholds
from mobiledet.training.samples import Sample, short_labels
from mobiledet.truth import ImageId

IOU = 0.5
WORST = 6  # images
MAX_REASONS = 4  # per image


@dataclass(frozen=True, eq=False)
class Mistakes:
    """The errors at the score threshold with the best F1 of each class, with objects matched at an IoU of 0.5.

    Attributes:
        confusion: how often objects of a class (first) are detected as another (second); the number of classes stands
            for background.
        worst: the images with the most errors, with drawn boxes and the reasons as caption.
    """

    confusion: Mapping[tuple[int, int], int]
    worst: Sequence[Sample]


def find_mistakes(dataset: DetectionSet, detections: Mapping[ImageId, Detections]) -> Mistakes:
    """Analyse the errors of an evaluation.

    Args:
        dataset: the validation set.
        detections: detections by image id; images without an entry could not be read.
    """
    images = {image.id: image for image in dataset.images if image.id in detections}
    if not images:
        return Mistakes({}, [])
    truth = {image_id: image.truth for image_id, image in images.items()}
    matches = match_detections(dataset.labels, truth, detections)
    thresholds = choose_thresholds(matches, Rule(), IOU, resamplings=1).thresholds
    pairs = confused_pairs(matches, truth, detections, thresholds, IOU)

    labels = short_labels(dataset.labels)
    worst = []
    for errors in image_errors(matches, thresholds, IOU)[:WORST]:
        if errors.missed or errors.wrong:
            image = images[matches.image_ids[errors.image]]
            found = detections[image.id].above(np.array(thresholds))
            pixels = load_rgb(image.path, image.apply_orientation)
            picture = draw_detections(pixels, found, labels, image.boxes_xyxy)
            reasons = _reasons(pairs[pairs[:, 0] == errors.image, 1:], labels)
            worst.append(Sample(picture, image.path.name, reasons))
    return Mistakes({(entry.truth, entry.found): entry.count for entry in confusion(pairs)}, worst)


def _reasons(pairs: NDArray[np.int64], labels: Sequence[str]) -> str:
    """The errors in an image as text, such as ``2 × Platelets missed, RBC found where none is``; the most frequent
    first."""
    background = len(labels)
    counts = Counter((true, found) for true, found in pairs.tolist() if true != found).most_common()
    reasons = []
    for (true, found), count in counts[:MAX_REASONS]:
        times = f"{count} × " if count > 1 else ""
        if found == background:
            reasons.append(f"{times}{labels[true]} missed")
        elif true == background:
            reasons.append(f"{times}{labels[found]} found where none is")
        else:
            reasons.append(f"{times}{labels[true]} found as {labels[found]}")
    return ", ".join(reasons + ["…"] * (len(counts) > MAX_REASONS))
