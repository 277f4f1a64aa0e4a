"""A few pictures for people: as the network is trained on them, and as it sees them after an evaluation."""

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
SCORE = 0.3  # detections below it are not drawn
MOST_NAMES = 4
MOST_LETTERS = 24  # of a name


@dataclass(frozen=True, eq=False)
class Sample:
    """A drawn picture (height x width x 3 uint8 RGB), the name of its file and what is on it."""

    picture: NDArray[np.uint8]
    name: str
    caption: str


def draw_samples(dataset: DetectionSet, detections: Mapping[ImageId, Detections]) -> list[Sample]:
    """Six pictures, evenly over those of the set that have boxes; the same ones for the same set.

    Args:
        dataset: the validation set.
        detections: of its images, by their ids; an image without an entry could not be read.
    """
    usable = [image for image in dataset.images if image.id in detections]
    chosen = [image for image in usable if len(image.labels)] or usable
    places = np.unique(np.linspace(0, len(chosen) - 1, min(COUNT, len(chosen))).round().astype(int))
    labels = short_labels(dataset.labels)
    return [_draw(chosen[place], detections[chosen[place].id].above(SCORE), labels) for place in places]


def draw_training_samples(loader: DetectionLoader) -> list[Sample]:
    """The first pictures of the first epoch as the network gets them, augmented, with the boxes that it learns.

    They depend on the seed alone, so a resumed run shows the same ones.
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
    """Class names of which a picture has room."""
    return [name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}…" for name in labels]


def _draw(image: LabelledImage, found: Detections, labels: Sequence[str]) -> Sample:
    picture = draw_detections(load_rgb(image.path, image.apply_orientation), found, labels, image.boxes_xyxy)
    caption = f"true: {names(image.labels, labels)}; found: {names(found.labels, labels)}"
    return Sample(picture, image.path.name, caption)


def names(present: Iterable[int], labels: Sequence[str]) -> str:
    """Classes and how often each is there, the most frequent first."""
    counts = Counter(labels[label] for label in present).most_common()
    listed = [name if count == 1 else f"{count} × {name}" for name, count in counts[:MOST_NAMES]]
    return ", ".join(listed + ["…"] * (len(counts) > MOST_NAMES)) or "nothing"
