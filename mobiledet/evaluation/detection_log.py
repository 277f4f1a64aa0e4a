"""What an evaluation has found so far, on disk: a pulled cable or a kill costs the batch on its way, no more.

One JSON object a line. The first line says what everything comes from; then each image has a line of its own, and so
has a benchmark. Numbers are written so that they are read back the same to the last bit. While an evaluation is under
way the file is called NAME.detections.partial, afterwards NAME.detections.ndjson.
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
SYNC_SECONDS = 1.0  # lines reach the system at once, the disk after so long


@dataclass(frozen=True)
class Origin:
    """What detections come from; an evaluation goes on where another one stopped if all of it is the same.

    Attributes:
        bundle: its sha256.
        file: path of the model file in the bundle.
        device: that ran it.
        execution: accelerator and threads.
        mode: ``image`` or ``tensor``.
        images: sha256 of the list of images and what is on them.
        labels: the classes that ``labels`` of a line count from 0.
        tiles: how images were cut; empty where they were not. Lines then tell what the whole image alone gave, too.
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
        """Names of what is not the same."""
        return [name for name in vars(self) if _comparable(self, name) != _comparable(other, name)]


@dataclass(frozen=True)
class _Line:
    """One image; boxes (x1, y1, x2, y2) in its pixels."""

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
    """A line of its own."""

    plan: BenchmarkPlan
    samples: BenchmarkSamples


class DetectionLog:
    """Detections and benchmark of one evaluation, kept as they come. Made by ``open_log``.

    Attributes:
        path: of the file.
        found: what is known of each image, by its id in the annotations.
    """

    def __init__(self, path: Path, origin: Origin, file: FileIO) -> None:
        self.path = path
        self.found: dict[ImageId, Frame] = {}
        self._file = file
        self._synced = time.monotonic()
        self._benchmarks: list[tuple[BenchmarkPlan, BenchmarkSamples]] = []
        content = file.read()
        whole = content.rfind(b"\n") + 1
        file.truncate(whole)  # a line that was cut off
        file.seek(whole)
        lines = content[:whole].splitlines()
        if lines:
            self._read(lines, origin)
        else:
            self._write(_json({"kind": KIND, "schema_version": SCHEMA_VERSION, "origin": origin}))

    def add(self, image_id: ImageId, frame: Frame) -> None:
        """Keep what was found in an image.

        Raises:
            UserError: the file cannot be written; what it holds stays good.
        """
        self._write(_line_json(image_id, frame))
        self.found[image_id] = frame

    def samples(self, plan: BenchmarkPlan) -> BenchmarkSamples | None:
        """Those of a benchmark of this plan, if there was one."""
        return next((samples for kept, samples in self._benchmarks if kept == plan), None)

    def add_samples(self, plan: BenchmarkPlan, samples: BenchmarkSamples) -> None:
        """Keep a benchmark; errors as in ``add``."""
        self._write(_json({"plan": plan, "samples": samples}))
        self._benchmarks.append((plan, samples))

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be lost without the file."""
        return not self.found and not self._benchmarks

    def sync(self) -> None:
        """Have everything on the disk."""
        with _told(self.path):
            os.fsync(self._file.fileno())

    def _write(self, line: str) -> None:
        with _told(self.path):
            left = memoryview(line.encode() + b"\n")
            while left:
                left = left[self._file.write(left) :]
            if time.monotonic() - self._synced >= SYNC_SECONDS:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()

    def _read(self, lines: list[bytes], origin: Origin) -> None:
        try:
            others = _header(lines[0]).differences(origin)
            if others:
                raise UserError(
                    f"{self.path} holds an unfinished evaluation of another {' and '.join(others)}; "
                    "pass --fresh to drop it, or choose another --out"
                )
            for line in lines[1:]:
                entry = _entry(line, origin, self.found)
                if isinstance(entry, _Benchmark):
                    self._benchmarks.append((entry.plan, entry.samples))
                else:
                    self.found[entry[0]] = entry[1]
        except (ValueError, TypeError, KeyError) as error:
            message = f"{self.path} is damaged ({error}), so it cannot go on; pass --fresh to start anew"
            raise UserError(message) from error


def is_detections(path: Path) -> bool:
    """Whether a file begins as a log does."""
    with path.open("rb") as file:
        return re.match(rf'\s*{{\s*"kind":\s*"{KIND}"'.encode(), file.read(200)) is not None


def read_detections(path: Path) -> tuple[Origin, dict[ImageId, Detections]]:
    """What a complete evaluation found in each image, and what that comes from.

    Raises:
        UserError: the file cannot be read, is damaged, or cut off.
    """
    found: dict[ImageId, Frame] = {}
    try:
        with path.open("rb") as file:
            origin = _header(file.readline())
            for line in file:
                if not line.endswith(b"\n"):
                    raise ValueError("its last line is cut off")
                entry = _entry(line, origin, found)
                if not isinstance(entry, _Benchmark):
                    found[entry[0]] = entry[1]
    except OSError as error:
        raise UserError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} holds no whole list of detections: {error}; evaluate again") from error
    return origin, {image_id: frame.detections for image_id, frame in found.items()}


@contextmanager
def open_log(path: Path, origin: Origin, fresh: bool = False) -> Iterator[DetectionLog]:
    """The log in a file, with what it holds already. A file without an image is removed in the end.

    Args:
        path: of the file; made if missing.
        origin: of what will be added.
        fresh: drop what it holds.

    Raises:
        UserError: the file cannot be written, is damaged, holds detections of another origin, or another process
            writes it.
    """
    with _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b", buffering=0)  # a buffer would try again what did not fit on the disk
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"another process writes {path} right now; wait for it, or choose another --out"
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
                print(f"{done} and kept in {path}; the same command goes on from there", file=sys.stderr)
            raise
        finally:
            if log.is_empty:
                path.unlink(missing_ok=True)


def partial_path(result: Path) -> Path:
    """Where the log of an evaluation lies while it is under way."""
    return result.with_suffix(".detections.partial")


def detections_path(result: Path) -> Path:
    """Where the log of a complete evaluation lies."""
    return result.with_suffix(".detections.ndjson")


def keep_detections(result: Path) -> None:
    """The evaluation is complete: name its log after the result.

    Raises:
        UserError: it cannot be renamed.
    """
    path = detections_path(result)
    with _told(path):
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
    """What the lines below it come from."""
    header = load_json(line)
    if not isinstance(header, dict) or header["kind"] != KIND or len(header) != 3:
        raise ValueError("it does not begin as mobiledet evaluate begins one")
    if header["schema_version"] != SCHEMA_VERSION:
        raise ValueError("it is of another version")
    origin: Origin = decode(Origin, header["origin"], filled=(Origin,))
    return origin


def _entry(line: bytes, origin: Origin, found: Mapping[ImageId, Frame]) -> tuple[ImageId, Frame] | _Benchmark:
    """One line: an image that is not among those found before, or a benchmark."""
    value = load_json(line)
    if "plan" in value:
        measured: _Benchmark = decode(_Benchmark, value)
        return measured
    image_id, frame = _frame(value, len(origin.labels))
    if (frame.whole is None) == bool(origin.tiles):
        raise ValueError(f"image {image_id} has nothing of the whole image, or of slices")
    if image_id in found:
        raise ValueError(f"image {image_id} stands there twice")
    return image_id, frame


def _frame(value: dict[str, Any], class_count: int) -> tuple[ImageId, Frame]:
    image_id = value["image_id"]
    if type(image_id) not in (int, str):
        raise ValueError(f"image_id is a {type(image_id).__name__}")
    # the arrays are checked as a whole, an id may be larger than 64 bits
    line: _Line = decode(_Line, {**value, **dict.fromkeys(("image_id", "boxes", "scores", "labels", "whole"))})
    found = Detections.from_json(value["boxes"], value["scores"], value["labels"], class_count)
    whole = _frame(value["whole"], class_count)[1] if value.get("whole") is not None else None
    return image_id, Frame(Path(), found, line.times, height=line.height, width=line.width, whole=whole)


def _comparable(origin: Origin, name: str) -> Any:
    value = getattr(origin, name)
    if name != "device":
        return value
    # an agent that has been started again may listen on another port
    return dataclasses.replace(value, name=re.sub(r":\d+$", "", value.name))


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"cannot write {path}: {reason}; check the path, its permissions and the disk") from error
