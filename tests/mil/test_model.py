"""Packages as they lie on disk: images, pipelines, several functions, damage, and networks of others."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from PIL import Image

from mobiledet.errors import UserError
from mobiledet.mil.model import CoreMlModel
from mobiledet_converters.raw_outputs import difference

RNG = np.random.default_rng(13)
PIXELS = RNG.integers(0, 256, (6, 5, 3), np.uint8)


def convert(coremltools: Any, module: torch.nn.Module, path: Path, **options: Any) -> Path:
    """By plain coremltools, with its defaults but for what is given."""
    example = torch.zeros([int(side) for side in options["inputs"][0].shape.shape])
    model = coremltools.convert(torch.jit.trace(module.eval(), example), skip_model_load=True, **options)
    model.save(str(path))
    return path


def randomised(module: torch.nn.Module) -> torch.nn.Module:
    """With statistics as training would leave them; those of a new network hide what goes wrong."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.2)  # type: ignore[union-attr]
            part.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
            part.weight.data.uniform_(0.5, 1.5)
            part.bias.data.normal_(0, 0.2)
    return module.eval()


NETWORKS: dict[str, tuple[Callable[[], torch.nn.Module], str]] = {
    "resnet18": (torchvision.models.resnet18, "iOS15"),
    "mobilenet_v3_large": (torchvision.models.mobilenet_v3_large, "iOS17"),
    "efficientnet_b0": (lambda: timm.create_model("efficientnet_b0"), "iOS18"),
}


@pytest.mark.parametrize(
    "name",
    ["mobilenet_v3_large", *(pytest.param(n, marks=pytest.mark.exhaustive) for n in ("resnet18", "efficientnet_b0"))],
)
def test_networks_of_others(coremltools: Any, tmp_path: Path, name: str) -> None:
    """Equal to PyTorch within 80 dB in 32 bits."""
    build, target = NETWORKS[name]
    network = randomised(build())
    path = convert(
        coremltools,
        network,
        tmp_path / "x.mlpackage",
        inputs=[coremltools.TensorType("x", shape=(1, 3, 64, 64))],
        compute_precision=coremltools.precision.FLOAT32,
        minimum_deployment_target=getattr(coremltools.target, target),
    )
    model = CoreMlModel(path)
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected = network(x).numpy()
    found = model.predict({"x": x.numpy()})[model.outputs[0]]
    assert difference(expected, found).sqnr_db > 80


@pytest.mark.parametrize("colours", ["RGB", "BGR", "GRAYSCALE"])
def test_images(coremltools: Any, tmp_path: Path, colours: str) -> None:
    """Scale and bias are in the program; the order of colours is up to the caller of Core ML."""
    channels = 1 if colours == "GRAYSCALE" else 3
    picture = coremltools.ImageType(
        "picture",
        shape=(1, channels, 6, 5),
        scale=2.0,
        bias=[1.0, 2.0, 3.0][:channels] if channels > 1 else 1.0,
        color_layout=getattr(coremltools.colorlayout, colours),
    )
    path = convert(coremltools, torch.nn.ReLU(), tmp_path / "x.mlpackage", inputs=[picture])
    model = CoreMlModel(path, round_float16=False)
    grey = np.asarray(Image.fromarray(PIXELS).convert("L"))
    found = model.predict({"picture": grey if channels == 1 else PIXELS})[model.outputs[0]]
    planes = {"RGB": PIXELS, "BGR": PIXELS[..., ::-1], "GRAYSCALE": grey[..., None]}[colours]
    expected = 2.0 * planes + np.array([1.0, 2.0, 3.0][:channels])
    np.testing.assert_allclose(found[0], expected.transpose(2, 0, 1), rtol=1e-6)


@pytest.fixture(scope="module")
def boxes_package(coremltools: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model that doubles and clips: 20 boxes x 3 classes, in 32 bits."""

    class Boxes(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return (x[:, :3] * 2).clamp(0, 1), x[:, 3:7] + self.shift

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("shift", torch.linspace(0, 0.2, 80).reshape(20, 4))

    model = coremltools.convert(
        torch.jit.trace(Boxes(), torch.zeros(20, 7)),
        inputs=[coremltools.TensorType("x", shape=(20, 7))],
        outputs=[coremltools.TensorType("raw_confidence"), coremltools.TensorType("raw_coordinates")],
        compute_precision=coremltools.precision.FLOAT32,
        minimum_deployment_target=coremltools.target.iOS18,
        skip_model_load=True,
    )
    path = tmp_path_factory.mktemp("boxes") / "boxes.mlpackage"
    model.save(str(path))
    return model, path


def test_pipeline_with_suppression(coremltools: Any, boxes_package: Any, tmp_path: Path) -> None:
    """As Vision takes it: the program, then a model of the kind nonMaximumSuppression."""
    program = boxes_package[0].get_spec()
    message = coremltools.proto.Model_pb2.Model()
    message.specificationVersion = program.specificationVersion
    message.pipeline.models.add().CopyFrom(program)
    last = message.pipeline.models.add()
    last.specificationVersion = program.specificationVersion
    suppression = last.nonMaximumSuppression
    suppression.confidenceInputFeatureName, suppression.coordinatesInputFeatureName = (
        "raw_confidence",
        "raw_coordinates",
    )
    suppression.confidenceOutputFeatureName, suppression.coordinatesOutputFeatureName = "confidence", "coordinates"
    suppression.iouThresholdInputFeatureName = "iouThreshold"
    suppression.iouThreshold, suppression.confidenceThreshold = 0.5, 0.2
    suppression.pickTop.perClass = False
    message.description.input.add().CopyFrom(program.description.input[0])
    for name, columns in (("confidence", 3), ("coordinates", 4)):
        for description in (last.description, message.description):
            output = description.output.add()
            output.name = name
            array = output.type.multiArrayType
            array.dataType = array.ArrayDataType.Value("FLOAT32")
            array.shapeRange.sizeRanges.add(lowerBound=0, upperBound=-1)
            array.shapeRange.sizeRanges.add(lowerBound=columns, upperBound=columns)
    path = tmp_path / "pipeline.mlpackage"
    coremltools.models.MLModel(message, weights_dir=boxes_package[0].weights_dir, skip_model_load=True).save(str(path))

    model = CoreMlModel(path)
    assert (model.inputs, model.outputs) == (("x",), ("confidence", "coordinates"))
    x = RNG.uniform(0.05, 0.6, (20, 7)).astype(np.float32)
    found = model.predict({"x": x})
    scores = np.clip(2 * x[:, :3], 0, 1)
    coordinates = x[:, 3:] + np.linspace(0, 0.2, 80, dtype=np.float32).reshape(20, 4)
    corners = torchvision.ops.box_convert(torch.from_numpy(coordinates), "cxcywh", "xyxy")
    best = torch.from_numpy(scores.max(1))
    kept = torchvision.ops.nms(corners, best, 0.5).numpy()
    kept = kept[scores.max(1)[kept] >= 0.2]
    assert 0 < len(kept) < 20
    np.testing.assert_allclose(found["confidence"], scores[kept], rtol=1e-6)
    np.testing.assert_allclose(found["coordinates"], coordinates[kept], rtol=1e-6)
    assert len(model.predict({"x": x, "iouThreshold": 1.0})["confidence"]) > len(kept)


def test_several_functions(coremltools: Any, boxes_package: Any, tmp_path: Path) -> None:
    functions = coremltools.utils.MultiFunctionDescriptor()
    functions.add_function(str(boxes_package[1]), "main", "day")
    functions.add_function(str(boxes_package[1]), "main", "night")
    functions.default_function_name = "night"
    path = tmp_path / "several.mlpackage"
    coremltools.utils.save_multifunction(functions, str(path))
    x = RNG.uniform(0.05, 0.6, (20, 7)).astype(np.float32)
    expected = CoreMlModel(boxes_package[1]).predict({"x": x})
    for function in (None, "day", "night"):
        found = CoreMlModel(path, function=function).predict({"x": x})
        np.testing.assert_array_equal(found["raw_confidence"], expected["raw_confidence"])
    with pytest.raises(UserError, match="has no function 'noon'; its functions: day, night"):
        CoreMlModel(path, function="noon")


def test_missing_input_is_told(boxes_package: Any) -> None:
    with pytest.raises(UserError, match="needs the input x"):
        CoreMlModel(boxes_package[1]).predict({})


def test_other_models_are_told(coremltools: Any, tmp_path: Path) -> None:
    message = coremltools.proto.Model_pb2.Model(specificationVersion=4)
    message.identity.SetInParent()
    package = coremltools.models.utils._create_mlpackage
    package(message, package_path=str(tmp_path / "x.mlpackage"))
    with pytest.raises(UserError, match="a model of the kind identity is unknown"):
        CoreMlModel(tmp_path / "x.mlpackage")


def test_damage_is_told(boxes_package: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a Core ML package"):
        CoreMlModel(tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "Manifest.json").write_text("{")
    with pytest.raises(UserError, match="is a damaged Core ML package"):
        CoreMlModel(tmp_path)


def test_weights_and_activations_of_8_bits(coremltools: Any, tmp_path: Path) -> None:
    """The codes are those of the finalised network of coremltools, but for ties."""
    from coremltools.optimize.torch.quantization import LinearQuantizer, LinearQuantizerConfig

    network = randomised(
        torch.nn.Sequential(
            torch.nn.Conv2d(3, 8, 3, padding=1),
            torch.nn.BatchNorm2d(8),
            torch.nn.ReLU(),
            torch.nn.Conv2d(8, 8, 3, groups=8),
            torch.nn.ReLU6(),
            torch.nn.Conv2d(8, 4, 1),
        )
    )
    config = LinearQuantizerConfig.from_dict(
        {"global_config": {"quantization_scheme": "symmetric", "milestones": [0, 1, 2, 2]}}
    )
    quantizer = LinearQuantizer(network, config)
    prepared = quantizer.prepare(example_inputs=(torch.zeros(1, 3, 16, 16),), inplace=False)
    for _ in range(3):
        quantizer.step()
        prepared(torch.randn(4, 3, 16, 16))
    finalised = quantizer.finalize(inplace=False).eval()
    path = convert(
        coremltools,
        finalised,
        tmp_path / "x.mlpackage",
        inputs=[coremltools.TensorType("x", shape=(1, 3, 16, 16))],
        compute_precision=coremltools.precision.FLOAT32,
        minimum_deployment_target=coremltools.target.iOS17,
    )
    model = CoreMlModel(path)
    codes: list[torch.Tensor] = []
    x = torch.randn(1, 3, 16, 16)

    def observe(_: str, values: torch.Tensor) -> None:
        if values.dtype in (torch.int8, torch.uint8):
            codes.append(values)

    found = model.predict({"x": x.numpy()}, observe)[model.outputs[0]]
    assert len(codes) >= 3
    with torch.inference_mode():
        expected = finalised(x).numpy()
    step = np.abs(np.diff(np.unique(expected))).min()
    assert np.mean(np.abs(found - expected) < step / 2) > 0.99
