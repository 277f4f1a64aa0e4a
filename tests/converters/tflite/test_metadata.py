"""The metadata of an exported file, read by those it is made for."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import mediapipe
import numpy as np
import pytest
from ai_edge_litert.tools.flatbuffer_utils import read_model
from mediapipe.tasks.metadata import metadata_schema_py_generated as schema
from mediapipe.tasks.python import BaseOptions, vision
from mediapipe.tasks.python.components.containers import DetectionResult

from mobiledet.bundle import Bundle
from mobiledet.data.images import list_images
from mobiledet.data.shapes import write_shapes
from mobiledet.devices.litert import LiteRtDetector
from mobiledet.spec import ModelSpec
from mobiledet_converters.reference import load_inputs
from mobiledet_converters.tflite.metadata import BUFFER_NAME, metadata_buffer

PRECISIONS = ("float32", "float16", "int8")


def model_path(bundle: Bundle, precision: str) -> Path:
    return bundle.root / bundle.select(precision).path


def stored_metadata(path: Path) -> bytes:
    model = read_model(path)
    (index,) = (entry.buffer for entry in model.metadata if entry.name == BUFFER_NAME)
    return bytes(model.buffers[index].data)


@pytest.fixture(scope="module")
def metadata(exported_bundle: Bundle) -> schema.ModelMetadataT:
    content = stored_metadata(model_path(exported_bundle, "float32"))
    assert schema.ModelMetadata.ModelMetadataBufferHasIdentifier(content, 0)
    return schema.ModelMetadataT.InitFromObj(schema.ModelMetadata.GetRootAs(content, 0))


def test_model(metadata: schema.ModelMetadataT, exported_bundle: Bundle) -> None:
    assert metadata.name.decode() == "scenes-96"
    assert "ssdlite on shufflenet_v2_0.5x" in metadata.description.decode()
    assert metadata.minParserVersion == b"1.2.0"
    assert [file.name for file in metadata.associatedFiles] == [b"mobiledet.json"]
    assert len(metadata.subgraphMetadata) == 1


def test_input(metadata: schema.ModelMetadataT) -> None:
    (image,) = metadata.subgraphMetadata[0].inputTensorMetadata
    assert image.name == b"image"
    assert image.content.contentPropertiesType == schema.ContentProperties.ImageProperties
    properties = image.content.contentProperties
    assert properties.colorSpace == schema.ColorSpaceType.RGB
    assert (properties.defaultSize.width, properties.defaultSize.height) == (96, 96)
    (unit,) = image.processUnits
    assert unit.optionsType == schema.ProcessUnitOptions.NormalizationOptions
    assert (list(unit.options.mean), list(unit.options.std)) == ([0], [1])
    assert (list(image.stats.min), list(image.stats.max)) == ([0], [255])


def test_outputs(metadata: schema.ModelMetadataT) -> None:
    graph = metadata.subgraphMetadata[0]
    names = [b"location", b"category", b"score", b"number of detections"]
    assert [tensor.name for tensor in graph.outputTensorMetadata] == names
    boxes, classes, scores, count = graph.outputTensorMetadata
    properties = boxes.content.contentProperties
    assert list(properties.index) == [1, 0, 3, 2]
    assert properties.type == schema.BoundingBoxType.BOUNDARIES
    assert properties.coordinateType == schema.CoordinateType.RATIO
    feature = schema.ContentProperties.FeatureProperties
    assert {t.content.contentPropertiesType for t in (classes, scores, count)} == {feature}
    (labels,) = classes.associatedFiles
    assert (labels.name, labels.type) == (b"labels.txt", schema.AssociatedFileType.TENSOR_VALUE_LABELS)
    (group,) = graph.outputTensorGroups
    assert group.tensorNames == names[:3]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_files_in_the_file(exported_bundle: Bundle, precision: str) -> None:
    with zipfile.ZipFile(model_path(exported_bundle, precision)) as archive:
        assert archive.testzip() is None
        assert archive.read("labels.txt").decode().splitlines() == [
            "circle",
            "square",
            "triangle",
            "étoile",
            "ring",
            "cross",
        ]
        spec = ModelSpec.from_json(json.loads(archive.read("mobiledet.json")), source="the file")
    assert spec == exported_bundle.spec


def test_writing_depends_on_nothing_but_the_spec(exported_bundle: Bundle) -> None:
    content = stored_metadata(model_path(exported_bundle, "float16"))
    assert content == metadata_buffer(exported_bundle.spec)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_mediapipe_finds_what_litert_finds(exported_bundle: Bundle, scene_folder: Path, precision: str) -> None:
    path = model_path(exported_bundle, precision)
    ours = LiteRtDetector(path)
    options = vision.ObjectDetectorOptions(
        base_options=BaseOptions(model_asset_path=str(path)), score_threshold=0.0, max_results=-1
    )
    at_edge = 0
    with vision.ObjectDetector.create_from_options(options) as theirs:
        for pixels in load_inputs(list_images(scene_folder), exported_bundle.spec.input):
            ours.set_input(pixels)
            ours.invoke()
            found = ours.detections(96, 96)
            image = mediapipe.Image(mediapipe.ImageFormat.SRGB, np.ascontiguousarray(pixels))
            names, scores, boxes = from_mediapipe(theirs.detect(image))
            assert names == [exported_bundle.spec.labels[label] for label in found.labels]
            np.testing.assert_allclose(scores, found.scores, atol=1e-6)
            # MediaPipe gives whole pixels: left, top, width and height rounded down
            corners, sizes = found.boxes_xyxy[:, :2], found.boxes_xyxy[:, 2:] - found.boxes_xyxy[:, :2]
            difference = np.concatenate((corners, sizes), axis=1) - boxes
            assert difference.min() > -0.01
            assert difference.max() < 1.01
            at_edge += int(((found.boxes_xyxy == 0) | (found.boxes_xyxy == 96)).any(axis=1).sum())
    assert at_edge > 3


@pytest.mark.exhaustive
def test_mediapipe_agrees_on_fifty_images_in_every_precision(
    exported_bundle: Bundle, project_root: Path, tmp_path: Path
) -> None:
    """At the model's size; at the images' own, this detector, trained for seconds, is sure of too little to compare."""
    write_shapes(tmp_path / "set", train=0, val=50, seed=9, workers=1)
    script = project_root / "benchmarks" / "mediapipe_agreement.py"
    command = [sys.executable, str(script), str(exported_bundle.path), "--share=0"]
    command += ["--images", str(tmp_path / "set" / "val2017")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if "50 images" in line]
    assert [line.split(",")[0] for line in lines] == [p for p in PRECISIONS for _ in range(2)]


def from_mediapipe(result: DetectionResult) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Labels, scores and (left, top, width, height), best first; classes that share a box come as one detection."""
    rows = [
        (c.category_name, c.score, (box.origin_x, box.origin_y, box.width, box.height))
        for detection in result.detections
        for c in detection.categories
        for box in (detection.bounding_box,)
    ]
    names, scores, boxes = zip(*sorted(rows, key=lambda row: -row[1]), strict=True)
    return list(names), np.array(scores), np.array(boxes)
