"""The result of an evaluation: the measurements, and of what, where and how they were made."""

import dataclasses
import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from mobiledet.bundle import Bundle, ModelFile
from mobiledet.devices.base import (
    BenchmarkPlan,
    ColdStart,
    DeviceInfo,
    DeviceState,
    Execution,
    GoldenReport,
    Nanoseconds,
    StageTimes,
)
from mobiledet.devices.options import InputMode
from mobiledet.devices.untimed import why_untimed
from mobiledet.errors import UserError
from mobiledet.evaluation.analysis import Analysis
from mobiledet.evaluation.latency import LatencyStats
from mobiledet.files.atomic import atomic_file, file_name_of
from mobiledet.metrics.coco import CocoMetrics
from mobiledet.records import RECORD_BYTES, Range, decode
from mobiledet.spec import InputSpec, ModelSpec, read_json, sides_text

KIND = "mobiledet result"
SCHEMA_VERSION = 2


@dataclass(frozen=True)
class TiledAccuracy:
    """Accuracy and time without tiles, to compare with those of tiles and whole images together.

    Attributes:
        height, width: size of a tile in pixels.
        overlap: minimum overlap of neighbouring tiles, as a fraction of their side.
        runs: mean number of runs for an image: one for each tile, and one for the whole image.
        whole_metrics: COCO metrics of the whole images alone, as in an evaluation without tiles.
        whole_stages: latency of decode, preprocess, infer and postprocess for the whole images alone.
    """

    height: Annotated[int, Range(1)]
    width: Annotated[int, Range(1)]
    overlap: Annotated[float, Range(0, 0.9)]
    runs: Annotated[float, Range(1)]
    whole_metrics: CocoMetrics
    whole_stages: dict[str, LatencyStats]

    @property
    def whole_ms(self) -> float | None:
        """Mean time for a whole image without tiles, from file to boxes; None if times are meaningless."""
        return _total_ms(self.whole_stages)

    def __str__(self) -> str:
        return f"tiles of {sides_text(self.height, self.width)}, overlap {self.overlap:g}"


def _total_ms(stages: Mapping[str, LatencyStats]) -> float | None:
    return sum(stage.mean_ms for stage in stages.values()) if stages else None


@dataclass(frozen=True)
class Accuracy:
    """The accuracy of a file.

    Attributes:
        metrics: COCO metrics.
        dataset: name of the data set and split.
        annotations: the file or folder from which the ground truth was read.
        images_sha256: sha256 of image ids, file names and objects; only results with the same one are comparable.
        skipped: descriptions of the damaged data that was left out.
        skipped_by_reason: summary of ``skipped`` with counts.
        notes: remarks for the reader of the score.
        scorer: library that computed the metrics.
        mode: ``image`` if the device decoded and resized the files, ``tensor`` if the host did.
        stages: latency of decode, preprocess, infer and postprocess over the images, in order; with tiles their sum.
            Empty if times are meaningless (``devices.untimed``).
        tiles: accuracy and time without tiles; None if no tiles were used.
        source: options by which the images were read, see ``evaluation.images``; None in older results.
        analysis: recommended thresholds, and the errors at them; None in results of older versions.
    """

    metrics: CocoMetrics
    dataset: str
    annotations: str
    images_sha256: str
    skipped: tuple[str, ...]
    scorer: str
    mode: InputMode
    stages: dict[str, LatencyStats]
    skipped_by_reason: str = ""
    notes: tuple[str, ...] = ()
    tiles: TiledAccuracy | None = None
    source: dict[str, Any] | None = None
    analysis: Analysis | None = None

    @property
    def image_ms(self) -> float | None:
        """Mean time for an image, from file to boxes; None if times are meaningless."""
        return _total_ms(self.stages)


@dataclass(frozen=True)
class Latency:
    """The latency of a file alone, on a golden input.

    Attributes:
        infer: statistics of the timed runs after the warm-up.
        plan: requested duration of the measurement.
        started_ns: start of each timed run, since the start of the first one.
        warmup_ns: duration of each warm-up run.
        steady: whether the latency was steady at the end of the warm-up.
        cold_starts: first load and first run, each in a fresh process.
        states: states of the device before, during and after the timed runs.
        state_ns: time of each state, since the start of the first timed run.
    """

    infer: LatencyStats
    plan: BenchmarkPlan
    started_ns: tuple[Nanoseconds, ...]
    warmup_ns: tuple[Nanoseconds, ...]
    steady: bool
    cold_starts: Annotated[tuple[ColdStart, ...], Range(1)]
    states: tuple[DeviceState, ...]
    state_ns: tuple[int, ...]

    @property
    def p50_ms(self) -> float:
        """Median time of a run."""
        return self.infer.p50_ms

    @property
    def dropped(self) -> int:
        """Number of camera images that arrived while the device was busy; 0 without a rate."""
        if not self.plan.fps or not self.started_ns:
            return 0
        return round(self.started_ns[-1] * self.plan.fps / 1e9) + 1 - len(self.started_ns)

    @property
    def load_ms(self) -> float:
        """Median time to load the file."""
        return statistics.median(cold.load_ns for cold in self.cold_starts) / 1e6

    @property
    def first_infer_ms(self) -> float:
        """Median time of the first run."""
        return statistics.median(cold.first_infer_ns for cold in self.cold_starts) / 1e6

    @property
    def memory_bytes(self) -> float | None:
        """Median growth of a process in bytes; None if the device does not report it."""
        grown = [cold.memory_bytes for cold in self.cold_starts if cold.memory_bytes is not None]
        return statistics.median(grown) if grown else None


@dataclass(frozen=True)
class Result:
    """The measurements of one model file on one device.

    Attributes:
        created: time of creation, UTC, ISO 8601.
        command: the command line; empty if called as a library.
        bundle: path of the bundle as given.
        bundle_sha256: sha256 of the bundle's content.
        spec: spec of the model.
        file: the model file.
        device: the device that ran it.
        execution: requested and actual accelerator, and threads.
        golden: differences from the golden outputs on the device.
        accuracy: accuracy; None if not measured.
        latency: latency; None if not measured.
        versions: versions of the software on the host.
    """

    created: str
    command: str
    bundle: str
    bundle_sha256: str
    spec: ModelSpec
    file: ModelFile
    device: DeviceInfo
    execution: Execution
    golden: GoldenReport
    accuracy: Accuracy | None
    latency: Latency | None
    versions: dict[str, str]

    @property
    def metrics(self) -> CocoMetrics:
        """The COCO metrics.

        Raises:
            UserError: accuracy was not measured.
        """
        if self.accuracy is None:
            raise UserError(f"accuracy of {self.bundle} was not measured; evaluate it on annotated images")
        return self.accuracy.metrics

    def to_json(self) -> dict[str, Any]:
        """JSON values, with ``kind`` and ``schema_version``."""
        values = {**dataclasses.asdict(self), "spec": self.spec.record()}
        return {"kind": KIND, "schema_version": SCHEMA_VERSION, **values}

    @classmethod
    def from_json(cls, values: Any, source: str) -> "Result":
        """Read the values that ``to_json`` returned.

        Args:
            values: decoded JSON.
            source: name of the file, for messages.

        Raises:
            UserError: the values are not a result, or have another schema version.
        """
        if not isinstance(values, dict) or values.get("kind") != KIND:
            raise UserError(f"{source} is not a result of mobiledet evaluate")
        if values.get("schema_version") != SCHEMA_VERSION:
            version = values.get("schema_version")
            raise UserError(
                f"{source}: schema version {version} is not {SCHEMA_VERSION}; evaluate again, "
                "or use the mobiledet that wrote it"
            )
        try:
            fields = {key: value for key, value in values.items() if key not in ("kind", "schema_version")}
            # these classes have fields that older results lack
            result: Result = decode(cls, fields, filled=(ModelFile, InputSpec, Accuracy))
            _check(result)
            return result
        except ValueError as error:
            raise UserError(f"{source} is a damaged result: {error}; evaluate again") from error


def _check(result: Result) -> None:
    """Check the consistency of a result, after each value has been checked by itself.

    Raises:
        ValueError: it is inconsistent; names the fields.
    """
    datetime.fromisoformat(result.created)
    latency, accuracy = result.latency, result.accuracy
    untimed = why_untimed(result.device.runtime)
    if latency and untimed:
        raise ValueError(f"latency was measured with {result.device.runtime} ({untimed})")
    if latency:
        latency.infer.check("latency.infer")
        if not min(latency.infer.samples_ns):
            raise ValueError("latency.infer.samples_ns has a run of zero duration")
        counts = len(latency.started_ns), len(latency.states)
        if counts != (latency.infer.n, len(latency.state_ns)):
            raise ValueError("latency lacks the time of a run or of a state")
    if accuracy:
        names = [stage.name for stage in dataclasses.fields(StageTimes)]
        measured = {"stages": accuracy.stages}
        if accuracy.tiles:
            measured["tiles.whole_stages"] = accuracy.tiles.whole_stages
        if accuracy.analysis:
            accuracy.analysis.check(result.spec.num_classes)
        for where, stages in measured.items():
            if list(stages) != names and (stages or not untimed):
                raise ValueError(f"accuracy.{where} are not {', '.join(names)}")
            for name, stats in stages.items():
                stats.check(f"accuracy.{where}.{name}")


def read_result(path: Path) -> Result:
    """Read a result from a JSON file.

    Raises:
        UserError: the file cannot be read or is not a result.
    """
    return Result.from_json(read_json(path, RECORD_BYTES), str(path))


def write_result(path: Path, result: Result) -> None:
    """Write a result as JSON, completely or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    text = json.dumps(result.to_json(), indent=1, allow_nan=False)
    with atomic_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def default_out(bundle: Bundle, file: ModelFile, device: str) -> Path:
    """The default path of a result."""
    parts = bundle.spec.name, bundle.sha256[:8], Path(file.path).stem, f"{device}.json"
    return Path("results") / file_name_of("-".join(parts))
