"""TFLite metadata, by which MediaPipe Tasks, Android Studio and others recognise a file as an object detector.

Field numbers and constants are those of ``metadata_schema.fbs`` (TensorFlow Lite Support, file identifier M001). The
schema cannot express that a model needs a letterbox: MediaPipe's ObjectDetector stretches every image to the input,
because neither metadata nor an option of the task sets ``keep_aspect_ratio`` of its ImageToTensorCalculator
(mediapipe/tasks/cc/components/processors/image_preprocessing_graph.cc).
"""

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools.flatbuffer_utils import read_model, write_model

from mobiledet import __version__
from mobiledet.spec import ModelSpec
from mobiledet_converters.tflite.flatbuffer import Byte, Table, UInt, write_table

if TYPE_CHECKING:
    from mobiledet_converters.wrapper import AnchorTable

IDENTIFIER = b"M001"
BUFFER_NAME = b"TFLITE_METADATA"
MIN_PARSER_VERSION = "1.2.0"  # the first that knows tensor groups
LABELS_FILE = "labels.txt"
SPEC_FILE = "mobiledet.json"
ANCHORS_FILE = "anchors.f32"  # A x 4 little-endian float32: centre y, x, height, width in fractions of the image
RAW_OUTPUTS = {
    "deltas": "offsets (y, x, height, width) from the anchors; centre = anchor centre + offset / weight * anchor side, "
    "side = anchor side * exp(offset / weight)",
    "scores": "0..1 of each anchor and class",
}

# members of the unions ContentProperties and ProcessUnitOptions
FEATURE_PROPERTIES, IMAGE_PROPERTIES, BOX_PROPERTIES = Byte(1), Byte(2), Byte(3)
NORMALIZATION_OPTIONS = Byte(1)
TENSOR_VALUE_LABELS = Byte(3)  # AssociatedFileType
RGB = Byte(1)  # ColorSpaceType
BOUNDARIES = Byte(1)  # BoundingBoxType; CoordinateType RATIO is 0, the default


def add_metadata(source: Path, target: Path, spec: ModelSpec, anchors: "AnchorTable | None" = None) -> None:
    """Copy a .tflite file, add metadata, and append the labels and the spec as a zip.

    Weights stored after the flatbuffer are moved into it first, because their positions would change.

    Args:
        source: the converter's file, with outputs in the order boxes, classes, scores, count.
        target: the file to write.
        spec: spec of the model.
        anchors: for a file that returns offsets and scores of all anchors: the anchors, which are appended, too.
    """
    model = read_model(source)
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(metadata_buffer(spec, raw=anchors is not None), np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = BUFFER_NAME, len(model.buffers) - 1
    model.metadata = [m for m in model.metadata or [] if m.name != BUFFER_NAME] + [entry]
    write_model(model, target)
    with zipfile.ZipFile(target, "a") as archive:
        values = spec.to_json()
        files: dict[str, str | bytes] = {LABELS_FILE: "".join(f"{label}\n" for label in spec.labels)}
        if anchors:
            files[ANCHORS_FILE] = anchors.yxhw.astype("<f4").tobytes()
            values["outputs"] = dict(RAW_OUTPUTS)
            values["anchors"] = {"file": ANCHORS_FILE, "coder_weights_xywh": list(anchors.coder_weights)}
        for name, content in {**files, SPEC_FILE: json.dumps(values)}.items():
            # without a date, so that the same checkpoint gives the same file
            archive.writestr(zipfile.ZipInfo(name), content)


def metadata_buffer(spec: ModelSpec, raw: bool = False) -> bytes:
    """The metadata as a flatbuffer; ``raw`` is for a file that returns offsets and scores of all anchors."""
    return write_table(_model(spec, raw), IDENTIFIER)


def _model(spec: ModelSpec, raw: bool) -> Table:
    trained_on = f", trained on {spec.training.dataset}" if spec.training.dataset else ""
    names = ["location", "category", "score"]
    detections = {
        3: [_boxes(), _classes(), _values("score", "Scores in 0..1, falling."), _count()],
        8: [Table({0: "detection_result", 1: names})],
    }
    offsets = {3: [_values(name, text) for name, text in RAW_OUTPUTS.items()]}
    graph = Table({2: [_image(spec)], **(offsets if raw else detections)})
    return Table(
        {
            0: spec.name,
            1: f"Object detector {spec.detector} on {spec.backbone}{trained_on}, exported by mobiledet {__version__}.",
            2: "1",
            3: [graph],
            6: [Table({0: SPEC_FILE, 1: "How the model is built and used, as JSON."})],
            7: MIN_PARSER_VERSION,
        }
    )


def _image(spec: ModelSpec) -> Table:
    size = Table({0: UInt(spec.input.width), 1: UInt(spec.input.height)})
    # apps compute (value - mean) / std before the model; here the graph normalises, so mean 0 and std 1
    raw = Table({0: np.zeros(1, np.float32), 1: np.ones(1, np.float32)})
    # the schema has no field for a letterbox, see above
    rule = "" if spec.input.resize == "stretch" else f" Trained on images in a {spec.input.resize_text}."
    return Table(
        {
            0: "image",
            1: f"RGB image, values 0..255.{rule}",
            3: _content(IMAGE_PROPERTIES, Table({0: RGB, 1: size})),
            4: [Table({0: NORMALIZATION_OPTIONS, 1: raw})],
            5: Table({0: np.full(1, 255, np.float32), 1: np.zeros(1, np.float32)}),
        }
    )


def _boxes() -> Table:
    # indices of left, top, right and bottom in (ymin, xmin, ymax, xmax)
    order = np.array([1, 0, 3, 2], np.uint32)
    return Table(
        {
            0: "location",
            1: "Boxes as (ymin, xmin, ymax, xmax), fractions of the image.",
            3: _content(BOX_PROPERTIES, Table({0: order, 1: BOUNDARIES}), valid_values=2),
        }
    )


def _classes() -> Table:
    labels = Table({0: LABELS_FILE, 1: "Name of each class, one a line.", 2: TENSOR_VALUE_LABELS})
    return Table({**_values("category", "Class of each box, an index into the labels.").fields, 6: [labels]})


def _values(name: str, description: str) -> Table:
    return Table({0: name, 1: description, 3: _content(FEATURE_PROPERTIES, Table({}), valid_values=2)})


def _count() -> Table:
    return Table({0: "number of detections", 1: "How many rows are valid.", 3: _content(FEATURE_PROPERTIES, Table({}))})


def _content(kind: Byte, properties: Table, valid_values: int = 0) -> Table:
    """The content description of a tensor; ``valid_values`` is the number of dimensions of one value."""
    range_of_values = {2: Table({0: UInt(valid_values), 1: UInt(valid_values)})} if valid_values else {}
    return Table({0: kind, 1: properties, **range_of_values})
