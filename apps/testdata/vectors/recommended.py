"""Model files of bundles, and the one that each runtime should run; runtimes of accelerators."""

from typing import Any

from mobiledet.bundle import ModelFile
from mobiledet.recommended import read_recommended, runtime_of

ACCELERATORS = (
    *("auto", "cpu", "xnnpack", "wasm", "interpreter", "gpu", "gpu-float32", "webgpu", "npu", "nnapi", "qnn-htp"),
    *("", "CPU", "ane"),
)


def recommended_cases() -> list[dict[str, Any]]:
    """The files of a bundle, and its own recommendations, which may be null."""
    tflite = [_file("tflite", precision) for precision in ("float32", "float16", "int8-weights", "int8", "int16x8")]
    coreml = [
        *(_file("coreml", precision, face="vision") for precision in ("float16", "float32")),
        *(_file("coreml", precision, face="graph") for precision in ("w8a8", "palette6", "int8", "float32", "float16")),
    ]
    coreai = [_file("coreai", precision) for precision in ("int8-weights", "float32", "float16")]
    cases = [_case("no file", []), _case("all files", [*tflite, *coreml, *coreai])]
    for files in (tflite, coreml[2:], coreai):
        for count in range(1, len(files)):
            cases.append(_case(f"the first {count} of {files[0].format}", files[:count]))
            cases.append(_case(f"the last {count} of {files[0].format}", files[-count:]))
    cases += [
        _case("for Vision only", coreml[:2]),
        _case("precisions that nobody knows", [_file("tflite", "int4"), _file("tflite", "int2")]),
        _case("a format that nobody knows", [_file("onnx", "float32")]),
        _case("two of a precision", [_file("tflite", "int8", name="a"), _file("tflite", "int8", name="b")]),
        _case("the author decides", tflite, {"cpu": tflite[1].path, "npu": tflite[4].path}),
        _case("a runtime that nobody knows", tflite, {"abacus": tflite[0].path}),
        _case("the author decides nothing", tflite, {}),
    ]
    return cases


def accelerator_cases() -> list[dict[str, Any]]:
    """The runtime of TFLite files on an accelerator."""
    return [{"accelerator": accelerator, "runtime": runtime_of(accelerator)} for accelerator in ACCELERATORS]


def _case(name: str, files: list[ModelFile], stored: dict[str, str] | None = None) -> dict[str, Any]:
    described = [{key: getattr(file, key) for key in ("path", "format", "precision", "face")} for file in files]
    return {"name": name, "files": described, "stored": stored, "recommended": read_recommended(stored, files)}


def _file(format: str, precision: str, face: str = "", name: str = "model") -> ModelFile:
    kind = {"coreml": "mlpackage", "coreai": "aimodel"}.get(format, format)
    return ModelFile(f"{name}.{precision}.{face + '.' if face else ''}{kind}", format, precision, 0, "", face=face)
