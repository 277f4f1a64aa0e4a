"""Converts the outputs of a model file to detections."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mobiledet.detections import Detections
from mobiledet.errors import UserError
from mobiledet.spec import OUTPUTS

VISION_OUTPUTS = ("confidence", "coordinates")  # of a Core ML package that Vision recognises as an object detector


def to_detections(
    path: Path, outputs: Mapping[str, np.ndarray], image_height: int, image_width: int, class_count: int | None = None
) -> Detections:
    """The detections of a file in one image, boxes xyxy in pixels of an image of this size.

    Args:
        path: path of the model file, for messages.
        outputs: boxes 1 x K x 4, classes 1 x K, scores 1 x K, count 1; or those of a package for Vision, confidence
            K x C and coordinates K x 4 (centre x, centre y, width, height in 0..1).
        image_height, image_width: size of the model's input, or of an image that was stretched to it; 1 gives
            fractions, see ``mobiledet.placement``.
        class_count: number of classes of the model; None if unknown.

    Raises:
        UserError: the outputs contain NaN or infinity, or an impossible count or class.
    """
    outputs = _from_vision(outputs) if set(VISION_OUTPUTS) <= outputs.keys() else outputs
    boxes, classes, scores, count = (outputs[name][0] for name in OUTPUTS)
    if not all(np.isfinite(values).all() for values in (boxes, classes, scores, count)):
        raise UserError(f"{path}: the outputs are not finite numbers; export the bundle again")
    if not 0 <= count <= len(scores):
        raise UserError(f"{path}: counts {count} detections in {len(scores)} rows; export the bundle again")
    found = Detections.from_graph_outputs(boxes, classes, scores, int(count), image_height, image_width)
    impossible = found.labels[(found.labels < 0) | (found.labels >= (class_count or np.inf))]
    if impossible.size:
        known = f"0 to {class_count - 1}" if class_count else "not negative"
        raise UserError(f"{path}: gives class {impossible[0]}, its classes are {known}; export the bundle again")
    return found


def _from_vision(outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Convert the outputs of a package for Vision: the best class of each object, boxes clipped to the image.

    A detector that suppresses before clipping, such as TensorFlow's, returns boxes that reach beyond the image, because
    Core ML's suppression is the last step of such a package.
    """
    confidence, coordinates = (outputs[name] for name in VISION_OUTPUTS)
    centre, size = coordinates[:, 1::-1], coordinates[:, :1:-1]  # y before x
    boxes = np.concatenate((centre - size / 2, centre + size / 2), axis=1)
    rows = [boxes.clip(0, 1), confidence.argmax(axis=1).astype(np.float32), confidence.max(axis=1)]
    return dict(zip(OUTPUTS, [*(row[None] for row in rows), np.array([len(boxes)])], strict=True))
