"""The model file that a runtime should run if nobody names one: stored in the bundle by the export, else by its rule.

It is the first file in the order of its runtime's row below. An integer file that lost too much, and was kept by
`mobiledet export --force`, comes last. The apps have the same rule; apps/testdata/recommended.json tests all.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from mobiledet.records import decode

FACES = ("", "graph")  # interfaces with the four outputs; packages for Apple's Vision framework have others
MAX_DROP = 0.02  # largest loss of mAP against PyTorch of a file that is recommended
# runtime: format; precisions, the best first, as mobiledet_converters/precisions.py describes them
RUNTIMES = {
    "cpu": ("tflite", ("int8", "float32", "float16", "int8-weights", "int16x8")),
    "gpu": ("tflite", ("float16", "float32", "int8-weights", "int8", "int16x8")),
    "npu": ("tflite", ("int8", "int16x8", "float16", "float32", "int8-weights")),
    "coreml": ("coreml", ("float16", "float32", "int8", "palette6", "w8a8")),
    "coreai": ("coreai", ("float16", "float32", "int8-weights")),
}
CPU_ACCELERATORS = ("auto", "cpu", "xnnpack", "wasm", "interpreter")


class Described(Protocol):
    """What the rule needs to know of a model file; see ``mobiledet.bundle.ModelFile``."""

    # ruff: noqa: D102
    @property
    def path(self) -> str: ...
    @property
    def format(self) -> str: ...
    @property
    def precision(self) -> str: ...
    @property
    def face(self) -> str: ...
    @property
    def parity(self) -> dict[str, Any] | None: ...
    @property
    def map(self) -> dict[str, Any] | None: ...


def runtime_of(accelerator: str) -> str:
    """The runtime of TFLite files on an accelerator: ``cpu``, ``gpu`` or ``npu``, which includes vendors' own names."""
    if accelerator in CPU_ACCELERATORS:
        return "cpu"
    return "gpu" if accelerator.startswith(("gpu", "webgpu")) else "npu"


def runtimes_of(accelerator: str, device: str = "local") -> tuple[str, ...]:
    """The runtimes whose recommendation an evaluation follows, the first that the bundle has a file for.

    Args:
        accelerator: accelerator of the device.
        device: the device as the command line names it. Apple's phones run no TFLite files.
    """
    apple = ("coreml", "coreai")
    return apple if device.partition(":")[0] == "ios" else (runtime_of(accelerator), *apple)


def recommend(files: Sequence[Described], doubtful: Collection[str] = ()) -> dict[str, str]:
    """Path of the file for each runtime that the files support.

    Args:
        files: the model files of a bundle, in its order.
        doubtful: paths of files that are recommended only if there is no other.
    """
    chosen = {}
    for runtime, (_, order) in RUNTIMES.items():
        candidates = [file for file in files if _fits(runtime, file)]
        if candidates:
            best = min(candidates, key=lambda file: (file.path in doubtful, _place(file.precision, order)))
            chosen[runtime] = best.path
    return chosen


def doubtful_files(files: Sequence[Described]) -> set[str]:
    """Paths of the files that lost too much mAP, or differ from PyTorch while their mAP is unknown."""
    return {file.path for file in files if _is_doubtful(file)}


def read_recommended(value: Any, files: Sequence[Described]) -> dict[str, str]:
    """The recommendations stored in a bundle, and those of the rule for other runtimes.

    Args:
        value: the field ``recommended`` of bundle.json; None if it is missing, as in older bundles.
        files: the model files.

    Raises:
        ValueError: it is malformed, or names a file that the bundle does not have or the runtime cannot run.
    """
    stored = {} if value is None else decode(dict[str, str], value, "recommended")
    by_path = {file.path: file for file in files}
    for runtime, path in stored.items():
        if path not in by_path:
            raise ValueError(f"recommended.{runtime} names {path}, which is not a model file of this bundle")
        if runtime in RUNTIMES and not _fits(runtime, by_path[path]):
            raise ValueError(f"recommended.{runtime} names {path}, which that runtime cannot run")
    return {**recommend(files), **stored}


def recommended_text(recommended: Mapping[str, str]) -> str:
    """Such as ``cpu model.int8.tflite, gpu model.float16.tflite``."""
    return ", ".join(f"{runtime} {path}" for runtime, path in recommended.items())


def _fits(runtime: str, file: Described) -> bool:
    return file.format == RUNTIMES[runtime][0] and file.face in FACES


def _place(precision: str, order: Sequence[str]) -> int:
    return order.index(precision) if precision in order else len(order)


def _is_doubtful(file: Described) -> bool:
    if file.map:
        return bool(file.map["drop"] > MAX_DROP)
    return "overruled" in (file.parity or {})
