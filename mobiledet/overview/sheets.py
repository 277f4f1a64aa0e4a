"""Image sheets of labels: a few boxes with their surroundings, for each class and each kind of suspicious label."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mobiledet.data.dataset import DetectionSet, LabelledImage
from mobiledet.data.images import load_reduced
from mobiledet.drawing.pictures import contact_sheet, draw_boxes
from mobiledet.errors import UserError
from mobiledet.overview.labels import Suspicion

PER_SHEET = 6
TILE = 200  # pixels
AROUND = 3.0  # side of the region shown, as a multiple of the box's longer side
MIN_REGION = 48.0  # smallest side of the region shown, in pixels of the image
MAX_CLASSES = 60


def class_sheets(part: DetectionSet) -> dict[str, tuple[NDArray[np.uint8], int]]:
    """For each of the most frequent classes: a sheet of boxes from all over the split, and the number of its boxes."""
    boxes: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for index, image in enumerate(part.images):
        for box, label in enumerate(image.labels.tolist()):
            boxes[label].append((index, box))
    sheets = {}
    for label in sorted(boxes, key=lambda label: -len(boxes[label]))[:MAX_CLASSES]:
        sheet = _sheet([(part.images[index], box) for index, box in _spread(boxes[label])])
        if sheet is not None:
            sheets[part.labels[label]] = (sheet, len(boxes[label]))
    return sheets


def suspicion_sheets(
    found: Sequence[Suspicion], parts: Sequence[DetectionSet]
) -> dict[str, tuple[NDArray[np.uint8], int]]:
    """For each kind of suspicious label: a sheet of some of its boxes, and the number of its boxes."""
    by_kind: defaultdict[str, list[Suspicion]] = defaultdict(list)
    for suspicion in found:
        by_kind[suspicion.kind].append(suspicion)
    sheets = {}
    for kind, entries in by_kind.items():
        sheet = _sheet([(parts[entry.part].images[entry.image], entry.box) for entry in _spread(entries)])
        if sheet is not None:
            sheets[kind] = (sheet, len(entries))
    return sheets


def _spread(entries: list) -> list:  # type: ignore[type-arg]
    places = np.unique(np.linspace(0, len(entries) - 1, min(PER_SHEET, len(entries))).round().astype(int))
    return [entries[place] for place in places]


def _sheet(boxes: Sequence[tuple[LabelledImage, int]]) -> NDArray[np.uint8] | None:
    tiles = []
    for image, box in boxes:
        try:
            tiles.append(_tile(image, box))
        except UserError:  # reported elsewhere
            continue
    if not tiles:
        return None
    blank = np.full((TILE, TILE, 3), 255, np.uint8)  # fills up the sheet, so that all have the same scale
    return np.asarray(contact_sheet(tiles + [blank] * (PER_SHEET - len(tiles)), columns=PER_SHEET, tile=TILE))


def _tile(image: LabelledImage, box: int) -> NDArray[np.uint8]:
    """A box with its surroundings; all boxes in the region are drawn."""
    x1, y1, x2, y2 = image.boxes_xyxy[box].tolist()
    half = max(AROUND * max(x2 - x1, y2 - y1), MIN_REGION) / 2
    middle = (x1 + x2) / 2, (y1 + y2) / 2
    left, top = max(0.0, middle[0] - half), max(0.0, middle[1] - half)
    right, bottom = min(float(image.width), middle[0] + half), min(float(image.height), middle[1] + half)
    # decode at the smallest size that the region needs
    scale = min(1.0, TILE / max(right - left, bottom - top))
    least = max(1, int(image.height * scale)), max(1, int(image.width * scale))
    pixels, _ = load_reduced(image.path, *least, image.apply_orientation)
    factor = np.array((pixels.shape[1] / image.width, pixels.shape[0] / image.height) * 2)
    window = np.array((left, top, right, bottom)) * factor
    x, y = int(window[0]), int(window[1])
    cut = pixels[y : max(y + 1, int(np.ceil(window[3]))), x : max(x + 1, int(np.ceil(window[2])))]
    enlarge = max(1, int(TILE / max(cut.shape[:2])))
    cut = cut.repeat(enlarge, axis=0).repeat(enlarge, axis=1)
    boxes = (image.boxes_xyxy * factor - np.array((x, y, x, y))) * enlarge
    shown = (boxes[:, 2:] > 0).all(axis=1) & (boxes[:, 0] < cut.shape[1]) & (boxes[:, 1] < cut.shape[0])
    return draw_boxes(np.ascontiguousarray(cut), boxes[shown], image.labels[shown].tolist())
