"""The same few validation pictures after each evaluation, with the true boxes and the predicted ones."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobiledet.data.dataset import DetectionSet, LabelledImage
from mobiledet.data.images import load_rgb
from mobiledet.detections import Detections
from mobiledet.drawing.pictures import draw_detections
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
    labels = [name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}…" for name in dataset.labels]
    return [_draw(chosen[place], detections[chosen[place].id].above(SCORE), labels) for place in places]


def _draw(image: LabelledImage, found: Detections, labels: Sequence[str]) -> Sample:
    picture = draw_detections(load_rgb(image.path, image.apply_orientation), found, labels, image.boxes_xyxy)
    caption = f"true: {_names(image.labels, labels)}; found: {_names(found.labels, labels)}"
    return Sample(picture, image.path.name, caption)


def _names(present: NDArray[np.int64], labels: Sequence[str]) -> str:
    """Classes and how often each is there, the most frequent first."""
    counts = Counter(labels[label] for label in present.tolist()).most_common()
    names = [name if count == 1 else f"{count} × {name}" for name, count in counts[:MOST_NAMES]]
    return ", ".join(names + ["…"] * (len(counts) > MOST_NAMES)) or "nothing"
