"""The metadata of a package, which Xcode shows and an app can read."""

import json
from typing import Any

from mobiledet import __version__
from mobiledet.bundle import VISION
from mobiledet.spec import ModelSpec

PREVIEW = "com.apple.coreml.model.preview.type"
PREVIEW_KIND = "objectDetector"

# feature -> its meaning
DESCRIPTIONS = {
    "boxes": "(ymin, xmin, ymax, xmax) as fractions of the image, best first",
    "classes": "class of each box, an index into the labels",
    "scores": "0..1, falling",
    "count": "how many rows are valid",
    "iouThreshold": "a box that overlaps a better one of its class by more than this is dropped; by default {iou:g}",
    "confidenceThreshold": "lowest score of a detection; by default {score:g}",
    "confidence": "rows x classes, best first: the score of each box in the column of its class, zeros elsewhere",
    "coordinates": "rows x 4: centre x, centre y, width and height as fractions of the image",
}


def describe(model: Any, spec: ModelSpec, precision: str, face: str) -> None:
    """Write author, licence, version, labels, the spec as JSON and the meaning of each feature into an MLModel."""
    model.short_description = f"Object detector {spec.detector} on {spec.backbone}: {', '.join(spec.labels)}"
    model.author = f"mobiledet {__version__}"
    model.version = __version__
    model.license = "Apache-2.0"
    metadata = model.user_defined_metadata
    metadata["labels"] = "\n".join(spec.labels)
    metadata["mobiledet"] = json.dumps(spec.to_json())
    metadata["precision"], metadata["face"] = precision, face
    if face == VISION:
        metadata[PREVIEW] = PREVIEW_KIND
        # option of VNCoreMLRequest; scaleFit keeps the aspect ratio, but its padding colour and position differ
        metadata["crop and scale"] = "scaleFill" if spec.input.resize == "stretch" else "scaleFit"
    descriptions = {
        "image": f"RGB image, {spec.input.width} x {spec.input.height}, {spec.input.resize_text}",
        **{name: text.format(iou=spec.nms.iou, score=spec.nms.score) for name, text in DESCRIPTIONS.items()},
    }
    message = model.get_spec().description
    for features, target in ((message.input, model.input_description), (message.output, model.output_description)):
        for feature in features:
            target[feature.name] = descriptions[feature.name]
