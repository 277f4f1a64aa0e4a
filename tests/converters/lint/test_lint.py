"""What the rules find in an exported file, and in the same file after damage of each kind."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch  # noqa: F401  # before LiteRT's tools, whose libraries torch's do not bear
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools.flatbuffer_utils import read_model, write_model

from mobiledet.bundle import Bundle
from mobiledet.cli import main
from mobiledet.devices.partitions import divide
from mobiledet.errors import UserError
from mobiledet_converters.config import LintConfig
from mobiledet_converters.lint.analyzer import read_analysis
from mobiledet_converters.lint.findings import Finding
from mobiledet_converters.lint.graph import FileGraph
from mobiledet_converters.lint.rules import check_file
from mobiledet_converters.lint.run import lint_file, run

Model = schema.ModelT
FILE = "model.float32.tflite"


def found(path: Path) -> dict[str, Finding]:
    return {finding.rule: finding for finding in lint_file(path).findings}


def test_an_exported_file_has_nothing_to_mend(exported_bundle: Bundle) -> None:
    report = lint_file(exported_bundle.root / FILE)
    assert {finding.level for finding in report.findings} == {"note"}
    # XNNPACK concatenates five levels at most, and the head has six: after the last convolution, where nothing is cut
    left = found(exported_bundle.root / FILE)["XNNPACK leaves part of the network"].found
    assert left == "the network runs in 1 partition(s); left to LiteRT's own kernels: 2 CONCATENATION"
    assert report.delegated_share > 0.9
    assert "TOPK_V2" in found(exported_bundle.root / FILE)["XNNPACK leaves part of the post-processing"].found


def test_partitions_cover_the_file(exported_bundle: Bundle) -> None:
    partitions = divide(exported_bundle.root / FILE)
    numbers = [number for part in partitions.delegated for number in part] + list(partitions.left)
    assert sorted(numbers) == list(range(len(FileGraph(exported_bundle.root / FILE).operations)))
    kinds = {operation.index: operation.kind for operation in FileGraph(exported_bundle.root / FILE).operations}
    assert {"CONV_2D", "DEPTHWISE_CONV_2D"}.isdisjoint(kinds[number] for number in partitions.left)


def first(model: Model, kind: int) -> schema.OperatorT:
    codes = [code.builtinCode for code in model.operatorCodes]
    return next(operator for operator in model.subgraphs[0].operators if codes[operator.opcodeIndex] == kind)


def rename(model: Model, old: int, new: int, custom: bytes | None = None) -> None:
    """Call all operations of one kind by the name of another."""
    code = next(code for code in model.operatorCodes if code.builtinCode == old)
    code.builtinCode, code.deprecatedBuiltinCode, code.customCode = new, min(new, 127), custom


def flex(model: Model) -> None:
    rename(model, OP.RELU6, OP.CUSTOM, b"FlexErf")


def own_custom(model: Model) -> None:
    rename(model, OP.RELU6, OP.CUSTOM, b"Mine")


def changing(model: Model) -> None:
    graph = model.subgraphs[0]
    graph.tensors[first(model, OP.CONV_2D).outputs[0]].shapeSignature = [-1, 48, 48, 24]


def five_dimensions(model: Model) -> None:
    tensor = model.subgraphs[0].tensors[first(model, OP.CONV_2D).outputs[0]]
    tensor.shape = np.array([1, *tensor.shape], np.int32)


def long_integers(model: Model) -> None:
    model.subgraphs[0].tensors[first(model, OP.CONV_2D).outputs[0]].type = schema.TensorType.INT64


def transposed(model: Model) -> None:
    rename(model, OP.MAX_POOL_2D, OP.TRANSPOSE)


def padded(model: Model) -> None:
    rename(model, OP.MAX_POOL_2D, OP.PADV2)


def rescaled(model: Model) -> None:
    operator = first(model, OP.MAX_POOL_2D)
    for index in (*operator.inputs, *operator.outputs):
        model.subgraphs[0].tensors[index].type = schema.TensorType.INT8
    rename(model, OP.MAX_POOL_2D, OP.QUANTIZE)


OP = schema.BuiltinOperator


@pytest.mark.parametrize(
    ("damage", "rule", "level", "words"),
    [
        (flex, "refused operation", "broken", "FlexErf"),
        (own_custom, "refused operation", "broken", "1 Mine"),
        (changing, "changing shape", "broken", "tensors of variable shape"),
        (five_dimensions, "too many dimensions", "slow", "up to 5 dimensions"),
        (long_integers, "64-bit integers", "slow", "int64"),
        (transposed, "transposition", "slow", "1 TRANSPOSE"),
        (padded, "padding with a value", "slow", "1 PADV2"),
        (rescaled, "requantisation", "slow", "1 QUANTIZE"),
    ],
)
def test_damage_is_found(
    exported_bundle: Bundle, tmp_path: Path, damage: Callable[[Model], None], rule: str, level: str, words: str
) -> None:
    model = read_model(exported_bundle.root / FILE)
    damage(model)
    write_model(model, tmp_path / "bad.tflite")
    graph = FileGraph(tmp_path / "bad.tflite")
    # a file that is damaged like this need not load: the division of the sound one stands in for its own
    findings = {f.rule: f for f in check_file(graph, divide(exported_bundle.root / FILE))}
    finding = findings[rule]
    assert (finding.level, words in finding.found) == (level, True), finding
    assert finding.cost
    assert finding.remedy
    assert finding.where


def test_a_file_that_litert_refuses(exported_bundle: Bundle, tmp_path: Path) -> None:
    model = read_model(exported_bundle.root / FILE)
    own_custom(model)
    write_model(model, tmp_path / "bad.tflite")
    findings = found(tmp_path / "bad.tflite")
    assert findings["does not load"].level == findings["refused operation"].level == "broken"


def test_command(exported_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "lint.json"
    config = LintConfig(exported_bundle.root, ("float32",), json=out, analyzer=False)
    assert run(config) == 0
    assert "what" not in capsys.readouterr().err
    (file,) = json.loads(out.read_text())["files"]
    assert file["file"] == FILE
    assert {"rule", "level", "on", "found", "where", "cost", "remedy"} == set(file["findings"][0])
    assert run(LintConfig(exported_bundle.root, analyzer=False, fail_on="note")) == 1
    assert run(LintConfig(exported_bundle.root / FILE, analyzer=False, fail_on="slow")) == 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.tflite", None, "does not exist"),
        ("text.tflite", b"no flatbuffer at all", "cannot be read as a .tflite file"),
        ("empty.tflite", b"", "cannot be read as a .tflite file"),
    ],
)
def test_bad_input(
    tmp_path: Path, name: str, content: bytes | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert main(["lint", str(tmp_path / name), "--no-analyzer"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert message in line


def test_precision_that_the_bundle_lacks(exported_bundle: Bundle) -> None:
    with pytest.raises(UserError, match=r"no such \.tflite or \.aimodel file; its precisions: float32"):
        run(LintConfig(exported_bundle.root, ("int4",), analyzer=False))


# what the analyser of TensorFlow 2.21 prints, cut to its lines on GPUs
COMPATIBLE = "\nYour model looks compatible with GPU delegate on TFLite runtime version 2.21.0.\nThis does not"
WARNED = """
Op#0 PADV2(T#1, T#2) -> [T#3]
GPU COMPATIBILITY WARNING: Not supported op PADV2

GPU COMPATIBILITY WARNING: Subgraph#0 has GPU delegate compatibility issues at nodes 3, 5 on TFLite runtime version 2.21
"""


def test_analysis(exported_bundle: Bundle) -> None:
    graph = FileGraph(exported_bundle.root / FILE)
    assert read_analysis(COMPATIBLE, graph).found == "compatible with the GPU delegate of 2.21.0"
    warned = read_analysis(WARNED, graph)
    assert (warned.level, len(warned.where)) == ("slow", 2)
    assert "Not supported op PADV2" in warned.found
    assert read_analysis("nothing of the kind", graph).found.startswith("not run")
