"""The exported Core ML package, read by coremltools in a process of its own."""

import json
import subprocess
import sys
from typing import Any

import pytest

from mobiledet import __version__
from mobiledet.bundle import Bundle
from mobiledet.spec import ModelSpec

READ = """
import json, sys
from mobiledet_converters.coreml.framework import load_coremltools
ct = load_coremltools()
from coremltools.converters.mil.frontend.milproto.load import load

model = ct.models.MLModel(sys.argv[1], skip_model_load=True)
proto = model.get_spec()
program = load(proto, proto.specificationVersion, model.weights_dir)
main = program.functions["main"]
operations = [
    {
        "type": op.op_type,
        "dtype": ct.converters.mil.mil.types.builtin_to_string(op.outputs[0].dtype),
        "shape": [int(side) for side in op.outputs[0].shape],
    }
    for op in main.operations
]
image = proto.description.input[0]
outputs = {
    o.name: [list(array.shape), array.ArrayDataType.Name(array.dataType)]
    for o in proto.description.output for array in [o.type.multiArrayType]
}
print(json.dumps({
    "version": proto.specificationVersion,
    "kind": proto.WhichOneof("Type"),
    "image": [image.name, image.type.imageType.height, image.type.imageType.width,
              image.type.imageType.ColorSpace.Name(image.type.imageType.colorSpace)],
    "inputs": len(proto.description.input),
    "outputs": outputs,
    "metadata": dict(proto.description.metadata.userDefined),
    "description": proto.description.metadata.shortDescription,
    "author": proto.description.metadata.author,
    "release": proto.description.metadata.versionString,
    "meanings": {f.name: f.shortDescription for f in [*proto.description.input, *proto.description.output]},
    "licence": proto.description.metadata.license,
    "operations": operations,
    "frameworks": [name for name in ("tensorflow", "litert_torch") if sys.modules.get(name)],
}))
"""


@pytest.fixture(scope="module")
def package(exported_bundle: Bundle) -> dict[str, Any]:
    path = exported_bundle.root / exported_bundle.select(format="coreml").path
    done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return read


def test_interface(package: dict[str, Any]) -> None:
    assert package["kind"] == "mlProgram"
    assert package["version"] == 8  # iOS 17
    assert (package["inputs"], package["image"]) == (1, ["image", 96, 96, "RGB"])
    shapes = {"boxes": [1, 40, 4], "classes": [1, 40], "scores": [1, 40], "count": [1]}
    assert package["outputs"] == {name: [shape, "FLOAT32"] for name, shape in shapes.items()}


def test_description_and_spec(package: dict[str, Any], exported_bundle: Bundle) -> None:
    labels = ["circle", "square", "triangle", "étoile", "ring", "cross"]
    assert package["description"] == f"Object detector ssdlite on shufflenet_v2_0.5x: {', '.join(labels)}"
    assert package["author"].startswith("mobiledet")
    assert package["licence"] == "Apache-2.0"
    assert package["release"] == __version__
    assert all(package["meanings"].values())
    assert package["metadata"]["labels"].splitlines() == labels
    assert ModelSpec.from_json(json.loads(package["metadata"]["mobiledet"]), "the package") == exported_bundle.spec


def test_network_is_in_16_bits_and_post_processing_in_32(package: dict[str, Any]) -> None:
    expected = {"conv": "fp16", "topk": "fp32", "gather": "fp32", "reduce_max": "fp32"}
    for kind, dtype in expected.items():
        assert {op["dtype"] for op in package["operations"] if op["type"] == kind} == {dtype}
    # 16-bit indices would overflow with more than 32767 anchors
    assert not {op["dtype"] for op in package["operations"]} & {"int16", "uint16"}


def test_shapes_are_constant_and_of_few_dimensions(package: dict[str, Any]) -> None:
    assert all(side > 0 for op in package["operations"] for side in op["shape"])
    assert max(len(op["shape"]) for op in package["operations"]) <= 4


def test_no_other_framework_was_loaded(package: dict[str, Any]) -> None:
    assert package["frameworks"] == []


def test_bundle_says_what_was_checked(package: dict[str, Any], exported_bundle: Bundle) -> None:
    parity = exported_bundle.select(format="coreml").parity
    assert parity is not None
    assert parity["checked"] == "detections in the interpreter against PyTorch"
    assert parity["verified"] == "interpreter-verified, not device-verified"
    assert parity["matched"] > 100
    assert parity["raw"]["class_logits"]["sqnr_db"] > 40
    operations = [op["type"] for op in package["operations"] if op["type"] != "const"]
    assert parity["operations"] == {kind: operations.count(kind) for kind in set(operations)}
    assert parity["route"] == "torch.export"
    assert parity["ios"] == 17


def test_both_faces_find_the_same(exported_bundle: Bundle) -> None:
    graph, vision = (f for f in exported_bundle.files if f.format == "coreml")
    assert (graph.face, vision.face) == ("graph", "vision")
    assert vision.path == "model.float16.vision.mlpackage"
    assert graph.parity is not None
    assert vision.parity is not None
    for figure in ("matched", "expected", "lowest_iou", "largest_score_difference", "raw"):
        assert vision.parity[figure] == graph.parity[figure]
