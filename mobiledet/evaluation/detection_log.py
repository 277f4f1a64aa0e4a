"""Saves the detections of an evaluation while it runs: an interruption loses at most the current batch.

The file has one JSON object a line. The first line is a header with the origin of the detections; then there is a line
for each image and for each benchmark. Numbers are written such that reading them back gives the same bits. While an
evaluation is running, the file is called NAME.detections.partial, afterwards NAME.detections.ndjson.
"""

import dataclasses
import fcntl
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Annotated, Any

from mobiledet.detections import Detections
from mobiledet.devices.base import BenchmarkPlan, BenchmarkSamples, DeviceInfo, Execution, Frame, StageTimes
from mobiledet.errors import UserError
from mobiledet.records import Range, decode, float32_json, load_json
from mobiledet.truth import ImageId

KIND = "mobiledet detections"
SCHEMA_VERSION = 1
SYNC_SECONDS = 1.0  # lines reach the operating system at once, and the disk after this time


@dataclass(frozen=True)
class Origin:
    """The origin of detections; an interrupted evaluation continues only if all of it is the same.

    Attributes:
        bundle: sha256 of the bundle.
        file: path of the model file in the bundle.
        device: the device that ran it.
        execution: accelerator and threads.
        mode: ``image`` or ``tensor``.
        images: sha256 of the list of images and their ground truth.
        labels: class names; ``labels`` of a line are indices into them.
        tiles: description of the tiling; empty without tiles. With tiles, a line also contains the detections in the
            whole image alone.
    """

    bundle: str
    file: str
    device: DeviceInfo
    execution: Execution
    mode: str
    images: str
    labels: tuple[str, ...]
    tiles: str = ""

    def differences(self, other: "Origin") -> list[str]:
        """Names of the fields that differ."""
        return [name for name in vars(self) if _comparable(self, name) != _comparable(other, name)]


@dataclass(frozen=True)
class _Line:
    """A line for an image; boxes are xyxy in pixels of the image."""

    image_id: Any
    height: Annotated[int, Range(1)]
    width: Annotated[int, Range(1)]
    boxes: Any
    scores: Any
    labels: Any
    times: StageTimes
    whole: Any


@dataclass(frozen=True)
class _Benchmark:
    """A line for a benchmark."""

    plan: BenchmarkPlan
    samples: BenchmarkSamples


class DetectionLog:
    """The log of one evaluation. Created by ``open_log``.

    Attributes:
        path: path of the file.
        found: logged frames by image id.
    """

    def __init__(self, path: Path, origin: Origin, file: FileIO) -> None:
        self.path = path
        self.found: dict[ImageId, Frame] = {}
        self._file = file
        self._synced = time.monotonic()
        self._benchmarks: list[tuple[BenchmarkPlan, BenchmarkSamples]] = []
        content = file.read()
        whole = content.rfind(b"\n") + 1
        file.truncate(whole)  # removes a truncated line
        file.seek(whole)
        lines = content[:whole].splitlines()
        if lines:
            self._read(lines, origin)
        else:
            self._write(_json({"kind": KIND, "schema_version": SCHEMA_VERSION, "origin": origin}))

    def add(self, image_id: ImageId, frame: Frame) -> None:
        """Add the detections in an image.

        Raises:
            UserError: the file cannot be written; its earlier content stays valid.
        """
        self._write(_line_json(image_id, frame))
        self.found[image_id] = frame

    def samples(self, plan: BenchmarkPlan) -> BenchmarkSamples | None:
        """The samples of a logged benchmark with this plan, if there is one."""
        return next((samples for kept, samples in self._benchmarks if kept == plan), None)

    def add_samples(self, plan: BenchmarkPlan, samples: BenchmarkSamples) -> None:
        """Add a benchmark; raises as ``add`` does."""
        self._write(_json({"plan": plan, "samples": samples}))
        self._benchmarks.append((plan, samples))

    @property
    def is_empty(self) -> bool:
        """Whether the log contains neither images nor benchmarks."""
        return not self.found and not self._benchmarks

    def sync(self) -> None:
        """Write everything to the disk."""
        with _write_errors(self.path):
            os.fsync(self._file.fileno())

    def _write(self, line: str) -> None:
        with _write_errors(self.path):
            rest = memoryview(line.encode() + b"\n")
            while rest:
                rest = rest[self._file.write(rest) :]
            if time.monotonic() - self._synced >= SYNC_SECONDS:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()

    def _read(self, lines: list[bytes], origin: Origin) -> None:
        try:
            others = _header(lines[0]).differences(origin)
            if others:
                raise UserError(
                    f"{self.path} contains an unfinished evaluation of another {' and '.join(others)}; "
                    "pass --fresh to discard it, or choose another --out"
                )
            for line in lines[1:]:
                entry = _entry(line, origin, self.found)
                if isinstance(entry, _Benchmark):
                    self._benchmarks.append((entry.plan, entry.samples))
                else:
                    self.found[entry[0]] = entry[1]
        except (ValueError, TypeError, KeyError) as error:
            message = f"{self.path} is damaged ({error}), so it cannot continue; pass --fresh to start again"
            raise UserError(message) from error


def is_detections(path: Path) -> bool:
    """Whether a file starts like a log."""
    with path.open("rb") as file:
        return re.match(rf'\s*{{\s*"kind":\s*"{KIND}"'.encode(), file.read(200)) is not None


def read_detections(path: Path) -> tuple[Origin, dict[ImageId, Detections]]:
    """Read the log of a complete evaluation: its origin, and the detections by image id.

    Raises:
        UserError: the file cannot be read, is damaged, or is truncated.
    """
    found: dict[ImageId, Frame] = {}
    try:
        with path.open("rb") as file:
            origin = _header(file.readline())
            for line in file:
                if not line.endswith(b"\n"):
                    raise ValueError("its last line is truncated")
                entry = _entry(line, origin, found)
                if not isinstance(entry, _Benchmark):
                    found[entry[0]] = entry[1]
    except OSError as error:
        raise UserError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} is not a complete list of detections: {error}; evaluate again") from error
    return origin, {image_id: frame.detections for image_id, frame in found.items()}


@contextmanager
def open_log(path: Path, origin: Origin, fresh: bool = False) -> Iterator[DetectionLog]:
    """Open the log in a file, with its existing content. A file that stays empty is removed at the end.

    Args:
        path: path of the file; created if missing.
        origin: origin of the detections that will be added.
        fresh: discard the existing content.

    Raises:
        UserError: the file cannot be written, is damaged, has another origin, or is being written by another process.
    """
    with _write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b", buffering=0)  # unbuffered: a buffer would write again what did not fit on the disk
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"another process is writing {path}; wait for it, or choose another --out"
            raise UserError(message) from error
        if fresh:
            file.truncate(0)
        file.seek(0)
        log = DetectionLog(path, origin, file)
        try:
            yield log
            log.sync()
        except BaseException:
            if not log.is_empty:
                done = f"{len(log.found)} images are done"
                print(f"{done} and saved in {path}; the same command continues from there", file=sys.stderr)
            raise
        finally:
            if log.is_empty:
                path.unlink(missing_ok=True)


def partial_path(result: Path) -> Path:
    """The path of the log while the evaluation is running."""
    return result.with_suffix(".detections.partial")


def detections_path(result: Path) -> Path:
    """The path of the log of a complete evaluation."""
    return result.with_suffix(".detections.ndjson")


def keep_detections(result: Path) -> None:
    """Rename the log of a complete evaluation after its result.

    Raises:
        UserError: it cannot be renamed.
    """
    path = detections_path(result)
    with _write_errors(path):
        os.replace(partial_path(result), path)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, default=dataclasses.asdict, allow_nan=False, separators=(",", ":"))


def _line_json(image_id: ImageId, frame: Frame) -> str:
    found = frame.detections
    boxes, scores = float32_json(found.boxes_xyxy.tolist()), float32_json(found.scores.tolist())
    whole = f',"whole":{_line_json(image_id, frame.whole)}' if frame.whole else ""
    return (
        f'{{"image_id":{json.dumps(image_id)},"height":{frame.height},"width":{frame.width},"boxes":{boxes},"scores":{scores},'
        f'"labels":{json.dumps(found.labels.tolist())},"times":{_json(vars(frame.times))}{whole}}}'
    )


def _header(line: bytes) -> Origin:
    """Read the first line."""
    header = load_json(line)
    if not isinstance(header, dict) or header["kind"] != KIND or len(header) != 3:
        raise ValueError("it has no header of mobiledet evaluate")
    if header["schema_version"] != SCHEMA_VERSION:
        raise ValueError("it has another schema version")
    origin: Origin = decode(Origin, header["origin"], filled=(Origin,))
    return origin


def _entry(line: bytes, origin: Origin, found: Mapping[ImageId, Frame]) -> tuple[ImageId, Frame] | _Benchmark:
    """Read another line: an image that is not in ``found`` yet, or a benchmark."""
    value = load_json(line)
    if "plan" in value:
        measured: _Benchmark = decode(_Benchmark, value)
        return measured
    image_id, frame = _frame(value, len(origin.labels))
    if (frame.whole is None) == bool(origin.tiles):
        raise ValueError(f"image {image_id} lacks the detections in the whole image, or in the tiles")
    if image_id in found:
        raise ValueError(f"image {image_id} occurs twice")
    return image_id, frame


def _frame(value: dict[str, Any], class_count: int) -> tuple[ImageId, Frame]:
    image_id = value["image_id"]
    if type(image_id) not in (int, str):
        raise ValueError(f"image_id is a {type(image_id).__name__}")
    # the arrays are checked in Detections.from_json, and an id may have more than 64 bits
    line: _Line = decode(_Line, {**value, **dict.fromkeys(("image_id", "boxes", "scores", "labels", "whole"))})
    found = Detections.from_json(value["boxes"], value["scores"], value["labels"], class_count)
    whole = _frame(value["whole"], class_count)[1] if value.get("whole") is not None else None
    return image_id, Frame(Path(), found, line.times, height=line.height, width=line.width, whole=whole)


def _comparable(origin: Origin, name: str) -> Any:
    value = getattr(origin, name)
    if name != "device":
        return value
    # a restarted agent may listen on another port
    return dataclasses.replace(value, name=re.sub(r":\d+$", "", value.name))


@contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` into a ``UserError`` that names the file."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"cannot write {path}: {reason}; check the path, its permissions and the disk") from error
