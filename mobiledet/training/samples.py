"""A few sample images: as the network sees them in training, and with its detections after an evaluation."""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobiledet.data.dataset import DetectionSet, LabelledImage
from mobiledet.data.images import load_rgb
from mobiledet.data.loader import DetectionLoader, EpochSampler
from mobiledet.detections import Detections
from mobiledet.drawing.pictures import draw_detections
from mobiledet.errors import UserError
from mobiledet.truth import ImageId

COUNT = 6
SCORE = 0.3  # detections with a lower score are not drawn
MAX_NAMES = 4
MAX_NAME_LENGTH = 24


@dataclass(frozen=True, eq=False)
class Sample:
    """An image with drawn boxes (height x width x 3 uint8 RGB), its file name, and a caption that lists its objects."""

    picture: NDArray[np.uint8]
    name: str
    caption: str


def draw_samples(dataset: DetectionSet, detections: Mapping[ImageId, Detections]) -> list[Sample]:
    """Draw six images, evenly spaced among the images with boxes; the same ones for the same set.

    Args:
        dataset: the validation set.
        detections: detections by image id; images without an entry could not be read.
    """
    usable = [image for image in dataset.images if image.id in detections]
    chosen = [image for image in usable if len(image.labels)] or usable
    places = np.unique(np.linspace(0, len(chosen) - 1, min(COUNT, len(chosen))).round().astype(int))
    labels = short_labels(dataset.labels)
    return [_draw(chosen[place], detections[chosen[place].id].above(SCORE), labels) for place in places]


def draw_training_samples(loader: DetectionLoader) -> list[Sample]:
    """Draw the first images of the first epoch as the network sees them, augmented and with their boxes.

    They depend only on the seed, so a resumed run shows the same ones.
    """
    dataset = loader.dataset
    labels = short_labels(dataset.dataset.labels)
    order = EpochSampler(len(dataset), loader.sampler.shuffle, loader.sampler.seed)
    samples = []
    for key in itertools.islice(order, COUNT):
        seen = dataset[key]
        if not isinstance(seen, UserError):
            boxes = Detections(seen.boxes, np.ones(len(seen.labels), np.float32), seen.labels)
            picture = draw_detections(seen.image, boxes, labels, with_scores=False)
            samples.append(Sample(picture, dataset.dataset.images[seen.index].path.name, names(seen.labels, labels)))
    return samples


def short_labels(labels: Sequence[str]) -> list[str]:
    """Class names shortened to fit on an image."""
    return [name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 1]}…" for name in labels]


def _draw(image: LabelledImage, found: Detections, labels: Sequence[str]) -> Sample:
    picture = draw_detections(load_rgb(image.path, image.apply_orientation), found, labels, image.boxes_xyxy)
    caption = f"ground truth: {names(image.labels, labels)}; detected: {names(found.labels, labels)}"
    return Sample(picture, image.path.name, caption)


def names(present: Iterable[int], labels: Sequence[str]) -> str:
    """Class names with their counts, the most frequent first."""
    counts = Counter(labels[label] for label in present).most_common()
    listed = [name if count == 1 else f"{count} × {name}" for name, count in counts[:MAX_NAMES]]
    return ", ".join(listed + ["…"] * (len(counts) > MAX_NAMES)) or "nothing"
