"""Integer files: what is in integers and what is not, and that they still find what they must."""

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools.flatbuffer_utils import opcode_to_name, read_model

from mobiledet.bundle import Bundle
from mobiledet.data.images import list_images
from mobiledet.detections import Detections
from mobiledet.devices.litert import LiteRtDetector
from mobiledet.errors import UserError
from mobiledet_converters.reference import load_inputs
from mobiledet_converters.tflite.error_table import error_table, worst_layers, write_table
from mobiledet_converters.tflite.quantize import quantize, use_uint8_input
from mobiledet_converters.tflite.ranges import Ranges, measure_ranges

INT8, INT16, FLOAT32 = schema.TensorType.INT8, schema.TensorType.INT16, schema.TensorType.FLOAT32
WITH_WEIGHTS = ("CONV_2D", "DEPTHWISE_CONV_2D")


@pytest.fixture(scope="module")
def source(exported_bundle: Bundle) -> Path:
    """The float32 file; its metadata does not disturb."""
    return exported_bundle.root / "model.float32.tflite"


@pytest.fixture(scope="module")
def ranges(source: Path, scene_folder: Path, exported_bundle: Bundle) -> Ranges:
    images = load_inputs(list_images(scene_folder.parent / "train2017"), exported_bundle.spec.input)
    return measure_ranges(source, np.stack(images))


def operations(path: Path) -> list[tuple[str, list[schema.TensorT], list[schema.TensorT]]]:
    """Kind, inputs and outputs of each."""
    model = read_model(path)
    tensors = model.subgraphs[0].tensors
    return [
        (
            str(opcode_to_name(model, operation.opcodeIndex)),
            [tensors[index] for index in operation.inputs if index >= 0],
            [tensors[index] for index in operation.outputs],
        )
        for operation in model.subgraphs[0].operators
    ]


@pytest.mark.parametrize(("precision", "activations"), [("int8", INT8), ("int16x8", INT16)])
def test_network_is_in_integers_and_the_rest_in_floats(
    source: Path, ranges: Ranges, tmp_path: Path, precision: str, activations: int
) -> None:
    target = tmp_path / "x.tflite"
    quantize(precision, source, target, ranges)
    graph = operations(target)
    for kind, inputs, outputs in graph:
        if kind in WITH_WEIGHTS:
            image, weights, *_ = inputs
            assert (image.type, weights.type, outputs[0].type) == (activations, INT8, activations)
            channels = weights.shape[3] if kind == "DEPTHWISE_CONV_2D" else weights.shape[0]
            assert len(weights.quantization.scale) == channels
        if any(b"post_process" in tensor.name or b"serving_default_" in tensor.name for tensor in outputs):
            assert not {INT8, INT16} & {tensor.type for tensor in outputs} or kind == "QUANTIZE"
    # what the levels predict leaves the integers each by itself: boxes and scores never share a scale
    leaving = [inputs[0].shape[3] for kind, inputs, _ in graph if kind == "DEQUANTIZE"]
    assert sorted(leaving) == [24] * 6 + [42] * 6  # six anchors of four sides and of seven classes
    (entry,) = (inputs[0] for kind, inputs, _ in graph if kind == "QUANTIZE" and b"image" in inputs[0].name)
    assert entry.type == FLOAT32


def test_image_loses_nothing(source: Path, ranges: Ranges, tmp_path: Path) -> None:
    quantize("int8", source, tmp_path / "x.tflite", ranges)
    (image,) = (
        o[0] for kind, i, o in operations(tmp_path / "x.tflite") if kind == "QUANTIZE" and b"image" in i[0].name
    )
    assert image.quantization.scale[0] == pytest.approx(1)
    assert image.quantization.zeroPoint[0] == -128


def test_weights_alone(source: Path, tmp_path: Path) -> None:
    quantize("int8-weights", source, tmp_path / "x.tflite", {})
    kinds = {kind: inputs for kind, inputs, _ in operations(tmp_path / "x.tflite")}
    assert kinds["DEQUANTIZE"][0].type == INT8
    assert kinds["CONV_2D"][0].type == FLOAT32
    assert (tmp_path / "x.tflite").stat().st_size < 0.5 * source.stat().st_size


def found(path: Path, image: np.ndarray) -> Detections:
    detector = LiteRtDetector(path)
    detector.set_input(image)
    detector.invoke()
    return detector.detections(96, 96)


def test_bytes_give_the_same_as_floats(source: Path, ranges: Ranges, scene_folder: Path, tmp_path: Path) -> None:
    floats, taking_bytes = tmp_path / "floats.tflite", tmp_path / "bytes.tflite"
    for path in (floats, taking_bytes):
        quantize("int8", source, path, ranges)
    use_uint8_input(taking_bytes)
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    expected, given = found(floats, image), found(taking_bytes, image)
    np.testing.assert_array_equal(given.boxes_xyxy, expected.boxes_xyxy)
    np.testing.assert_array_equal(given.scores, expected.scores)
    with pytest.raises(UserError, match="the input cannot be uint8"):
        use_uint8_input(source)


def test_16_bits_have_room_for_what_calibration_has_not_seen(
    source: Path, ranges: Ranges, exported_bundle: Bundle, scene_folder: Path, tmp_path: Path
) -> None:
    """Activations twice as large as those that calibrated."""
    halved = {name: (low / 2, high / 2) for name, (low, high) in ranges.items()}
    (image,) = load_inputs(list_images(scene_folder)[:1], exported_bundle.spec.input)
    expected = found(source, image)
    apart = {}
    for precision in ("int8", "int16x8"):
        quantize(precision, source, tmp_path / "x.tflite", halved)
        given = found(tmp_path / "x.tflite", image)
        count = min(len(expected), len(given), 5)
        apart[precision] = np.abs(expected.scores[:count] - given.scores[:count]).max()
    assert apart["int16x8"] < 0.05
    assert apart["int16x8"] < apart["int8"] / 2


def test_ranges_are_those_of_the_values(source: Path, ranges: Ranges, exported_bundle: Bundle) -> None:
    model = read_model(source)
    constants = {t.name.decode() for t in model.subgraphs[0].tensors if model.buffers[t.buffer].data is not None}
    assert not constants & ranges.keys()
    assert ranges["serving_default_scores_output"][1] <= 1
    assert all(low <= 0 <= high for low, high in ranges.values())


def test_errors_of_layers(
    source: Path, exported_bundle: Bundle, ranges: Ranges, scene_folder: Path, tmp_path: Path
) -> None:
    images = load_inputs(list_images(scene_folder)[:2], exported_bundle.spec.input)
    quantize("int8", source, tmp_path / "sound.tflite", ranges)
    name = next(outputs[0].name.decode() for kind, _, outputs in operations(source) if kind == "DEPTHWISE_CONV_2D")
    low, high = ranges[name]
    quantize("int8", source, tmp_path / "hurt.tflite", {**ranges, name: (low / 50, high / 50)})
    sound = error_table(source, tmp_path / "sound.tflite", images)
    assert not any("post_process" in layer.tensor for layer in sound)
    assert {layer.type for layer in sound} >= {"int8"}
    assert min(layer.sqnr_db for layer in sound) > 3
    hurt = error_table(source, tmp_path / "hurt.tflite", images)
    assert worst_layers(hurt)[0].tensor == name
    text, listing, picture = write_table(tmp_path / "tables", "int8", hurt)
    assert name in text.read_text()
    assert listing.stat().st_size > 1000
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert all(layer.sqnr_db == 200 for layer in error_table(source, source, images))
