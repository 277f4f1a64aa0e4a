"""The check of written files, on exported ones and on broken ones."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools.flatbuffer_utils import read_model, write_model

from mobiledet.bundle import Bundle
from mobiledet.errors import UserError
from mobiledet_converters.tflite.structure import check_structure

# of ShuffleNetV2's table 5 without conv5 (1 + 3 * 5 + 13 * 3), of the neck (4 * 3) and of the head (6 * 4)
CONVOLUTIONS = 1 + 3 * 5 + 13 * 3 + 4 * 3 + 6 * 4

Model = schema.ModelT


def test_exported_file(exported_bundle: Bundle) -> None:
    structure = check_structure(exported_bundle.root / "model.float32.tflite", exported_bundle.spec, CONVOLUTIONS)
    assert structure.max_rank <= 4
    # two more in stage 3, which sort channels
    assert structure.operations["CONV_2D"] + structure.operations["DEPTHWISE_CONV_2D"] == CONVOLUTIONS + 2
    assert structure.operations["TOPK_V2"] == 3
    assert not {"TRANSPOSE", "PADV2", "RESIZE_NEAREST_NEIGHBOR"} & set(structure.operations)
    assert not {"GATHER_ND", "WHILE", "SELECT", "STABLEHLO_SORT", "DEQUANTIZE"} & set(structure.operations)


def test_float16_file_holds_every_convolution_in_half(exported_bundle: Bundle) -> None:
    model = read_model(exported_bundle.root / "model.float16.tflite")
    graph = model.subgraphs[0]
    codes = [code.builtinCode for code in model.operatorCodes]
    sources = {op.outputs[0]: op.inputs[0] for op in graph.operators if codes[op.opcodeIndex] == DEQUANTIZE}
    weights = [op.inputs[1] for op in graph.operators if codes[op.opcodeIndex] in (CONV_2D, DEPTHWISE_CONV_2D)]
    assert len(weights) == CONVOLUTIONS + 2
    assert {graph.tensors[sources[index]].type for index in weights} == {schema.TensorType.FLOAT16}
    float32, float16 = (exported_bundle.select(precision).bytes for precision in ("float32", "float16"))
    assert float16 < 0.6 * float32


DEQUANTIZE = schema.BuiltinOperator.DEQUANTIZE
CONV_2D, DEPTHWISE_CONV_2D = schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.DEPTHWISE_CONV_2D


def swap_outputs(model: Model) -> None:
    outputs = model.subgraphs[0].outputs
    outputs[0], outputs[2] = outputs[2], outputs[0]


def rename_input(model: Model) -> None:
    model.signatureDefs[0].inputs[0].name = b"args_0"


def make_integer(model: Model) -> None:
    graph = model.subgraphs[0]
    graph.tensors[graph.inputs[0]].type = schema.TensorType.INT8


def make_dynamic(model: Model) -> None:
    model.subgraphs[0].tensors[7].shapeSignature = [-1, 4]


def make_custom(model: Model) -> None:
    code = model.operatorCodes[0]
    code.builtinCode, code.deprecatedBuiltinCode, code.customCode = schema.BuiltinOperator.CUSTOM, 32, b"FlexConv2D"


def make_variable(model: Model) -> None:
    model.operatorCodes[0].builtinCode = schema.BuiltinOperator.VAR_HANDLE
    model.operatorCodes[0].deprecatedBuiltinCode = 127


def empty(model: Model) -> None:
    model.subgraphs[0].operators = []


def double(model: Model) -> None:
    model.subgraphs.append(model.subgraphs[0])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (swap_outputs, "'scores': .* instead of"),
        (rename_input, "args_0"),
        (make_integer, "other types than float32"),
        (make_dynamic, "variable shape"),
        (make_custom, "custom operations instead of none"),
        (make_variable, "do not have: VAR_HANDLE"),
        (empty, "0 convolutions of the network's"),
        (double, "2 graphs"),
    ],
)
def test_damage_is_told(exported_bundle: Bundle, tmp_path: Path, damage: Callable[[Model], None], message: str) -> None:
    model = read_model(exported_bundle.root / "model.float32.tflite")
    damage(model)
    write_model(model, tmp_path / "bad.tflite")
    with pytest.raises(UserError, match=message):
        check_structure(tmp_path / "bad.tflite", exported_bundle.spec, CONVOLUTIONS)


def test_shapes_must_be_those_of_the_spec(exported_bundle: Bundle) -> None:
    path = exported_bundle.root / "model.float32.tflite"
    spec = exported_bundle.spec
    larger = dataclasses.replace(spec, input=dataclasses.replace(spec.input, height=128))
    with pytest.raises(UserError, match="128"):
        check_structure(path, larger, CONVOLUTIONS)
    fewer = dataclasses.replace(spec, nms=dataclasses.replace(spec.nms, max_detections=10))
    with pytest.raises(UserError, match="10, 4"):
        check_structure(path, fewer, CONVOLUTIONS)
