"""Golden cases: images, and the outputs of each model file of a bundle for them in its reference runtime. Imports no
torch.

golden/golden.json     version, cases, and for each model file its outputs, runtime and tolerances
golden/0.rgb           a case as raw pixels of the model's input
golden/1.png           a case as an image of another size, which a runtime decodes and resizes itself

The export checks that a file gives the same detections as its PyTorch detector. Golden cases check that another runtime
gives the same detections as the file in its reference runtime. So the expected outputs are the file's own, including
the effects of its quantisation.
"""

import dataclasses
import io
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mobiledet.data.images import decode_for_input
from mobiledet.data.resize import resize_to_input
from mobiledet.detections import Detections
from mobiledet.errors import UserError
from mobiledet.matching import Tolerance
from mobiledet.records import decode, load_json
from mobiledet.spec import ModelSpec

VERSION = 2
INDEX = "golden.json"
INDEX_BYTES = 64 << 20
# accelerators of sessions that are the CPU itself; all others may compute in 16 bits
PROCESSORS = frozenset({"cpu", "xnnpack", "wasm", "interpreter"})
_NAME = re.compile(r"[A-Za-z0-9_-]+\.(rgb|png)")


@dataclass(frozen=True)
class GoldenInput:
    """The image of a golden case.

    Attributes:
        content: height x width x 3 bytes of the model's input, RGB, row by row; or a PNG file of any size.
        encoded: whether ``content`` is a PNG file.
    """

    content: bytes
    encoded: bool = False

    @classmethod
    def of_pixels(cls, pixels: NDArray[np.uint8]) -> "GoldenInput":
        """A case from the model's input, height x width x 3 RGB."""
        return cls(np.ascontiguousarray(pixels, np.uint8).tobytes())

    @classmethod
    def of_image(cls, pixels: NDArray[np.uint8]) -> "GoldenInput":
        """A case from an image of any size, H x W x 3 RGB, stored as PNG, which all decoders decode identically."""
        buffer = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels, np.uint8)).save(buffer, format="PNG")
        return cls(buffer.getvalue(), encoded=True)

    def pixels(self, spec: ModelSpec) -> NDArray[np.uint8]:
        """The model's input: height x width x 3 uint8 RGB.

        Raises:
            UserError: the image cannot be decoded.
        """
        height, width = spec.input.height, spec.input.width
        if self.encoded:
            decoded = decode_for_input(self.content, "of a golden case", spec.input)
            return resize_to_input(decoded.pixels, spec.input, decoded.extent)
        return np.frombuffer(self.content, np.uint8).reshape(height, width, 3)


@dataclass(frozen=True)
class GoldenOutputs:
    """The outputs of a model file for one case.

    Attributes:
        boxes: K x 4 float32, (ymin, xmin, ymax, xmax) as fractions of the model's input, valid rows only.
        classes: K int64 class indices.
        scores: K float32.
        cut: score below which candidates did not fit into ``NmsSpec.top_k``, at most the lowest of ``scores``; 0 if
            only the score threshold of the spec cut the list. Near this score runtimes may differ.
    """

    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray
    cut: float = 0.0

    @classmethod
    def of(cls, found: Detections, height: int, width: int, cut: float = 0.0) -> "GoldenOutputs":
        """Outputs from detections whose boxes are in pixels of an input of height x width."""
        size = np.array([height, width] * 2, np.float32)
        return cls(found.boxes_xyxy[:, [1, 0, 3, 2]] / size, found.labels, found.scores, cut)


@dataclass(frozen=True)
class GoldenFile:
    """The outputs of a model file for all cases.

    Attributes:
        outputs: outputs for each case.
        runtime: the reference runtime that computed them, such as ``litert 2.3.0, x86-64, XNNPACK``.
        cpu: tolerance for runtimes that run the file on a CPU.
        accelerated: tolerance for runtimes that use another accelerator.
    """

    outputs: tuple[GoldenOutputs, ...]
    runtime: str
    cpu: Tolerance
    accelerated: Tolerance

    def tolerance(self, accelerator: str) -> Tolerance:
        """The tolerance for a session with this accelerator."""
        return self.cpu if accelerator in PROCESSORS else self.accelerated


@dataclass(frozen=True)
class Golden:
    """The golden cases of a bundle.

    Attributes:
        cases: the images.
        files: outputs of each model file by its path.
    """

    cases: tuple[GoldenInput, ...]
    files: Mapping[str, GoldenFile]

    def of(self, paths: Collection[str]) -> "Golden":
        """The same cases with only some of the files."""
        return dataclasses.replace(self, files={path: self.files[path] for path in paths})


@dataclass(frozen=True)
class GoldenCase:
    """A case of one model file, ready to be replayed.

    Attributes:
        image: the model's input, height x width x 3 uint8 RGB; decoded and resized here if the case is encoded.
        expected: expected detections, with boxes as fractions of the input.
        cut: see ``GoldenOutputs``; at least the score threshold of the spec.
        encoded: the image file that a runtime must decode and resize; empty if it is given ``image``.
    """

    image: NDArray[np.uint8]
    expected: Detections
    cut: float
    encoded: bytes = b""


def golden_cases(golden: Golden, path: str, spec: ModelSpec) -> tuple[GoldenCase, ...]:
    """The cases of a model file, in order.

    Raises:
        UserError: an image cannot be decoded.
    """
    cases = []
    for image, outputs in zip(golden.cases, golden.files[path].outputs, strict=True):
        expected = Detections.from_graph_outputs(
            outputs.boxes, outputs.classes, outputs.scores, len(outputs.scores), 1, 1
        )
        encoded = image.content if image.encoded else b""
        cases.append(GoldenCase(image.pixels(spec), expected, max(outputs.cut, spec.nms.score), encoded))
    return tuple(cases)


def write_golden(folder: Path, golden: Golden) -> None:
    """Write golden cases to a new folder."""
    folder.mkdir()
    names = [f"{index}.{'png' if case.encoded else 'rgb'}" for index, case in enumerate(golden.cases)]
    for name, case in zip(names, golden.cases, strict=True):
        (folder / name).write_bytes(case.content)
    files = {
        path: {
            "runtime": file.runtime,
            "tolerance": {"cpu": vars(file.cpu), "accelerated": vars(file.accelerated)},
            "outputs": [
                {
                    "boxes": [_numbers(box) for box in outputs.boxes],
                    "classes": outputs.classes.astype(int).tolist(),
                    "scores": _numbers(outputs.scores),
                    "cut": _numbers(np.array([outputs.cut]))[0],
                }
                for outputs in file.outputs
            ],
        }
        for path, file in golden.files.items()
    }
    content = {"version": VERSION, "cases": [{"input": name} for name in names], "files": files}
    (folder / INDEX).write_text(json.dumps(content) + "\n", encoding="utf-8")


def read_golden(folder: Path, spec: ModelSpec, paths: Collection[str], source: Path) -> Golden:
    """Read the golden cases of a bundle, strictly: types, ranges and lengths.

    Args:
        folder: folder of the cases.
        spec: description of the model.
        paths: paths of the bundle's model files, all of which must have outputs.
        source: path of the bundle, for error messages.

    Raises:
        UserError: the cases were written by an older or newer mobiledet, or are malformed.
    """
    try:
        size = (folder / INDEX).stat().st_size
        _require(size <= INDEX_BYTES, f"it has {size} bytes, more than {INDEX_BYTES}")
        values = load_json((folder / INDEX).read_bytes())
        version = values.get("version") if isinstance(values, dict) else None
        if version is None or version == 1:
            raise UserError(f"{source}: golden cases of an older mobiledet; export it again")
        if version != VERSION or type(version) is not int:
            raise UserError(f"{source}: golden cases of version {version!r}, not {VERSION}; use the matching mobiledet")
        index: _Index = decode(_Index, values)
        _require(bool(index.cases), "there is no case")
        cases = tuple(_read_input(folder, case.input, spec) for case in index.cases)
        missing, unknown = set(paths) - set(index.files), set(index.files) - set(paths)
        _require(not missing, f"{', '.join(sorted(missing))} has no outputs")
        _require(not unknown, f"{', '.join(sorted(unknown))} is not a model file of the bundle")
        return Golden(cases, {path: _read_file(path, index.files[path], len(cases), spec) for path in paths})
    except (ValueError, OverflowError, OSError) as error:
        raise UserError(f"{source}: golden/{INDEX} cannot be used: {error}; export the bundle again") from error


@dataclass(frozen=True)
class _Case:
    input: str


@dataclass(frozen=True)
class _Tolerances:
    cpu: Tolerance
    accelerated: Tolerance


@dataclass(frozen=True)
class _Outputs:
    boxes: tuple[tuple[float, float, float, float], ...]
    classes: tuple[int, ...]
    scores: tuple[float, ...]
    cut: float


@dataclass(frozen=True)
class _File:
    runtime: str
    tolerance: _Tolerances
    outputs: tuple[_Outputs, ...]


@dataclass(frozen=True)
class _Index:
    """Content of ``golden.json``."""

    version: int
    cases: tuple[_Case, ...]
    files: dict[str, _File]


def _read_input(folder: Path, name: str, spec: ModelSpec) -> GoldenInput:
    _require(bool(_NAME.fullmatch(name)), f"input {name!r} is not the name of a .rgb or .png file in golden/")
    _require((folder / name).is_file(), f"input {name} is missing")
    content = (folder / name).read_bytes()
    if name.endswith(".png"):
        return GoldenInput(content, encoded=True)
    size = spec.input.height * spec.input.width * 3
    _require(len(content) == size, f"input {name} holds {len(content)} bytes, the model takes {size}")
    return GoldenInput(content)


def _read_file(path: str, file: _File, count: int, spec: ModelSpec) -> GoldenFile:
    for name, tolerance in vars(file.tolerance).items():
        where = f"{path}: tolerance.{name}"
        _require(0.5 < tolerance.iou <= 1, f"{where}.iou is {tolerance.iou}, not above 0.5 and at most 1")
        _require(0 <= tolerance.score <= 0.5, f"{where}.score is {tolerance.score}, not in 0..0.5")
    _require(len(file.outputs) == count, f"{path}: {len(file.outputs)} outputs for {count} cases")
    outputs = tuple(_read_outputs(f"{path}: outputs[{index}]", each, spec) for index, each in enumerate(file.outputs))
    return GoldenFile(outputs, file.runtime, file.tolerance.cpu, file.tolerance.accelerated)


def _read_outputs(where: str, outputs: _Outputs, spec: ModelSpec) -> GoldenOutputs:
    count = len(outputs.scores)
    _require(
        len(outputs.boxes) == count and len(outputs.classes) == count,
        f"{where}: {len(outputs.boxes)} boxes, {len(outputs.classes)} classes and {count} scores do not agree",
    )
    _require(count <= spec.nms.max_detections, f"{where}: {count} detections in {spec.nms.max_detections} rows")
    _require(
        all(0 <= label < spec.num_classes for label in outputs.classes),
        f"{where}: a class is not in 0..{spec.num_classes - 1}",
    )
    _require(all(0 <= score <= 1 for score in outputs.scores), f"{where}: a score is not in 0..1")
    boxes = np.array(outputs.boxes, np.float64).reshape(-1, 4)
    _require(bool((np.abs(boxes) <= np.finfo(np.float32).max).all()), f"{where}: a box is too large")
    _require(0 <= outputs.cut <= min((1, *outputs.scores)), f"{where}: cut {outputs.cut} is not in 0..lowest score")
    classes, scores = np.array(outputs.classes, np.int64), np.array(outputs.scores, np.float32)
    return GoldenOutputs(boxes.astype(np.float32), classes, scores, outputs.cut)


def _numbers(values: np.ndarray) -> list[float]:
    """32-bit floats rounded to nine digits, which identify them uniquely."""
    return [float(f"{value:.9g}") for value in values.astype(np.float32).tolist()]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
