"""The validator of written packages: everything that Core ML's tools on Linux would let pass."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mobiledet.bundle import Bundle
from mobiledet.errors import UserError
from mobiledet_converters.coreml.framework import load_coremltools
from mobiledet_converters.coreml.validate import validate

Change = Callable[[Any], object]
FLOAT16 = 65552  # of ArrayFeatureType


@pytest.fixture(scope="module")
def model_type() -> Any:
    return load_coremltools().proto.Model_pb2.Model


@pytest.fixture
def altered(exported_bundle: Bundle, model_type: Any, tmp_path: Path) -> Callable[[str, Change], Path]:
    """A copy of the package of a face, its Model message changed."""

    def alter(face: str, change: Change) -> Path:
        file = next(f for f in exported_bundle.files if f.face == face)
        copy = tmp_path / file.path
        shutil.copytree(exported_bundle.root / file.path, copy)
        (path,) = copy.rglob("*.mlmodel")
        message = model_type()
        message.ParseFromString(path.read_bytes())
        change(message)
        path.write_bytes(message.SerializeToString())
        return copy

    return alter


@pytest.mark.parametrize("face", ["graph", "vision"])
def test_written_packages_pass(altered: Callable[..., Path], exported_bundle: Bundle, face: str) -> None:
    operations = validate(altered(face, lambda message: None), exported_bundle.spec, face, ios=17)
    assert operations["conv"] > 50
    assert "const" not in operations


def rename_candidate(message: Any) -> None:
    """Everywhere but in the suppression: the program still fits its description."""
    program = message.pipeline.models[0]
    program.description.output[0].name = "scores"
    function = program.mlProgram.functions["main"]
    block = function.block_specializations[function.opset]
    block.outputs[0] = "scores"
    for operation in block.operations:
        for output in operation.outputs:
            output.name = "scores" if output.name == "raw_confidence" else output.name


def swap_inputs(message: Any) -> None:
    suppression = message.pipeline.models[1].nonMaximumSuppression
    suppression.confidenceInputFeatureName, suppression.coordinatesInputFeatureName = (
        "raw_coordinates",
        "raw_confidence",
    )


def swap_stages(message: Any) -> None:
    last = type(message.pipeline.models[1])()
    last.CopyFrom(message.pipeline.models[1])
    message.pipeline.models[1].CopyFrom(message.pipeline.models[0])
    message.pipeline.models[0].CopyFrom(last)


def first(message: Any) -> Any:
    return message.pipeline.models[0]


def last(message: Any) -> Any:
    return message.pipeline.models[1]


WRONG_PIPELINES: dict[str, tuple[Change, str]] = {
    "labels": (lambda m: last(m).nonMaximumSuppression.stringClassLabels.vector.append("ghost"), "has 7 labels"),
    "order of labels": (
        lambda m: last(m).nonMaximumSuppression.stringClassLabels.vector.sort(),
        "its suppression has 6 labels",
    ),
    "candidate's name": (rename_candidate, "its candidates are scores, raw_coordinates"),
    "crossed wires": (swap_inputs, "names raw_coordinates as its confidence input instead of raw_confidence"),
    "dangling wire": (
        lambda m: setattr(last(m).nonMaximumSuppression, "coordinatesInputFeatureName", "boxes"),
        "names boxes as its coordinates input",
    ),
    "stages": (swap_stages, "its stages are nonMaximumSuppression, mlProgram"),
    "output": (
        lambda m: setattr(m.description.output[0], "name", "scores"),
        "pipeline has the outputs scores, coordinates",
    ),
    "lost threshold": (lambda m: m.description.input.pop(), "pipeline has the inputs image, iouThreshold instead of"),
    "required threshold": (
        lambda m: setattr(m.description.input[1].type, "isOptional", False),
        "its required inputs are image, iouThreshold",
    ),
    "number of classes": (
        lambda m: first(m).description.output[0].type.multiArrayType.shape.__setitem__(1, 5),
        r"candidate raw_confidence has the shape \(150, 5\) instead of \(150, 6\)",
    ),
    "kind of numbers": (
        lambda m: setattr(first(m).description.output[1].type.multiArrayType, "dataType", FLOAT16),
        "candidate raw_coordinates does not contain 32-bit floats",
    ),
    "rows": (
        lambda m: setattr(m.description.output[1].type.multiArrayType.shapeRange.sizeRanges[0], "upperBound", -1),
        r"output coordinates has the sides \[\(0, -1\), \(4, 4\)\]",
    ),
    "classes": (lambda m: setattr(last(m).nonMaximumSuppression.pickTop, "perClass", False), "ignores classes"),
    "IoU": (lambda m: setattr(last(m).nonMaximumSuppression, "iouThreshold", 0.9), "IoU threshold is 0.9"),
    "score": (
        lambda m: setattr(last(m).nonMaximumSuppression, "confidenceThreshold", 0.5),
        "confidence threshold is 0.5",
    ),
    "version of a stage": (
        lambda m: setattr(last(m), "specificationVersion", 4),
        "stage nonMaximumSuppression is of version 4, not 8",
    ),
}


@pytest.mark.parametrize("case", WRONG_PIPELINES)
def test_wrong_pipelines_are_refused(altered: Callable[..., Path], exported_bundle: Bundle, case: str) -> None:
    change, message = WRONG_PIPELINES[case]
    with pytest.raises(UserError, match=rf"model\.float16\.vision\.mlpackage is malformed: .*{message}"):
        validate(altered("vision", change), exported_bundle.spec, "vision", ios=17)


def operation(message: Any, kind: str) -> Any:
    function = message.mlProgram.functions["main"]
    return next(o for o in function.block_specializations[function.opset].operations if o.type == kind)


def claim(version: int, opset: str) -> Change:
    """Ask for an older iOS than the operations are of."""

    def change(message: Any) -> None:
        message.specificationVersion = version
        function = message.mlProgram.functions["main"]
        function.block_specializations[opset].CopyFrom(function.block_specializations[function.opset])
        del function.block_specializations[function.opset]
        function.opset = opset

    return change


WRONG_PROGRAMS: dict[str, tuple[Change, int, str]] = {
    "colours": (lambda m: setattr(m.description.input[0].type.imageType, "colorSpace", 30), 17, "'BGR'"),
    "size": (lambda m: setattr(m.description.input[0].type.imageType, "height", 64), 17, r"\('imageType', 64, 96"),
    "no image": (lambda m: m.description.input[0].type.multiArrayType.SetInParent(), 17, "'multiArrayType'"),
    "output's name": (lambda m: setattr(m.description.output[0], "name", "box"), 17, "outputs are box, classes"),
    "output's shape": (
        lambda m: m.description.output[0].type.multiArrayType.shape.__setitem__(1, 99),
        17,
        r"output boxes has the shape \(1, 99, 4\)",
    ),
    "version": (lambda m: None, 16, "specification version is 8, that of iOS 16 is 7"),
    "set of operations": (lambda m: setattr(m, "specificationVersion", 9), 18, "are those of CoreML7, .* says CoreML8"),
    "unknown operation": (lambda m: setattr(operation(m, "topk"), "type", "top_k"), 17, "has no operation top_k"),
    "operation of a newer iOS": (claim(6, "CoreML5"), 15, "cannot be read back"),
    "types": (lambda m: operation(m, "conv").inputs.pop("weight"), 17, "cannot be read back"),
}


@pytest.mark.parametrize("case", WRONG_PROGRAMS)
def test_wrong_programs_are_refused(altered: Callable[..., Path], exported_bundle: Bundle, case: str) -> None:
    change, ios, message = WRONG_PROGRAMS[case]
    with pytest.raises(UserError, match=rf"model\.float16\.mlpackage is malformed: .*{message}"):
        validate(altered("graph", change), exported_bundle.spec, "graph", ios)


def test_faces_are_told_apart(altered: Callable[..., Path], exported_bundle: Bundle) -> None:
    with pytest.raises(UserError, match="it is a mlProgram instead of a pipeline"):
        validate(altered("graph", lambda message: None), exported_bundle.spec, "vision", ios=17)
