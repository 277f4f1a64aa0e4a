"""The result of an evaluation: what was measured, of what, where and how."""

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
    """What slices bring and cost: the numbers beside them are those of slices and whole images together.

    Attributes:
        height, width: of a slice, pixels.
        overlap: share of a slice that its neighbour has too, at least.
        runs: of the file for an image, mean: its slices, and once the whole.
        whole_metrics: COCO's numbers of the whole images alone, as an evaluation without slices gives them.
        whole_stages: latency of decode, preprocess, infer and postprocess of the whole images alone.
    """

    height: Annotated[int, Range(1)]
    width: Annotated[int, Range(1)]
    overlap: Annotated[float, Range(0, 0.9)]
    runs: Annotated[float, Range(1)]
    whole_metrics: CocoMetrics
    whole_stages: dict[str, LatencyStats]

    @property
    def whole_ms(self) -> float | None:
        """Mean time of a whole image, from file to boxes; None where times mean nothing."""
        return _total_ms(self.whole_stages)

    def __str__(self) -> str:
        return f"tiles of {sides_text(self.height, self.width)}, overlap {self.overlap:g}"


def _total_ms(stages: Mapping[str, LatencyStats]) -> float | None:
    return sum(stage.mean_ms for stage in stages.values()) if stages else None


@dataclass(frozen=True)
class Accuracy:
    """How well the file detects.

    Attributes:
        metrics: COCO's numbers.
        dataset: name of the data set and split.
        annotations: the file or folder that the truth was read from.
        images_sha256: of image ids, file names and objects; only results with the same one are comparable.
        skipped: broken data that was left out, one text each.
        skipped_by_reason: the same counted, in words.
        notes: what else a reader of the score should know.
        scorer: what computed the numbers.
        mode: ``image`` where the device decoded and resized the files, ``tensor`` where the host did.
        stages: latency of decode, preprocess, infer and postprocess over the images, as they came; sums over slices.
            Empty where times mean nothing (``devices.untimed``).
        tiles: what slices bring and cost; None where whole images alone were run.
        source: options by which the images were read, see ``evaluation.images``; None in older results.
        analysis: thresholds to ship, and the errors at them; None in results of older versions.
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
        """Mean time of an image, from file to boxes; None where times mean nothing."""
        return _total_ms(self.stages)


@dataclass(frozen=True)
class Latency:
    """How fast the file runs, alone, on a golden input.

    Attributes:
        infer: of the timed runs after the warm-up.
        plan: how long to measure, as asked for.
        started_ns: when each timed run began, since the first one did.
        warmup_ns: each run of the warm-up.
        steady: whether the warm-up had become steady.
        cold_starts: first load and first run, each in a fresh process.
        states: of the device before, along and after the timed runs.
        state_ns: when each was read, since the first timed run.
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
        """Images of the camera that came while the device was busy; 0 without a pace."""
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
        """Median of what a process grows by; None where the device does not tell."""
        grown = [cold.memory_bytes for cold in self.cold_starts if cold.memory_bytes is not None]
        return statistics.median(grown) if grown else None


@dataclass(frozen=True)
class Result:
    """One model file on one device.

    Attributes:
        created: UTC, ISO 8601.
        command: the command line; empty when called as a library.
        bundle: path as given.
        bundle_sha256: names the bundle's exact content.
        spec: the model's description.
        file: the model file.
        device: what ran it.
        execution: requested and actual accelerator, threads.
        golden: how close the device came to the golden outputs.
        accuracy: None when not measured.
        latency: None when not measured.
        versions: of the software on the host.
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
        """COCO's numbers.

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
        """Read what ``to_json`` gave.

        Args:
            values: decoded JSON.
            source: the file that it came from, for messages.

        Raises:
            UserError: it is not a result, or one of another schema.
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
            # which grew since results were written
            result: Result = decode(cls, fields, filled=(ModelFile, InputSpec, Accuracy))
            _check(result)
            return result
        except ValueError as error:
            raise UserError(f"{source} is a damaged result: {error}; evaluate again") from error


def _check(result: Result) -> None:
    """Refuse what no evaluation gives, although each value by itself could be.

    Raises:
        ValueError: names the fields.
    """
    datetime.fromisoformat(result.created)
    latency, accuracy = result.latency, result.accuracy
    untimed = why_untimed(result.device.runtime)
    if latency and untimed:
        raise ValueError(f"latency is that of {result.device.runtime} ({untimed})")
    if latency:
        latency.infer.check("latency.infer")
        if not min(latency.infer.samples_ns):
            raise ValueError("latency.infer.samples_ns has a run that took no time")
        counts = len(latency.started_ns), len(latency.states)
        if counts != (latency.infer.n, len(latency.state_ns)):
            raise ValueError("latency does not tell when each run began and each state was read")
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
    """The result in a JSON file.

    Raises:
        UserError: the file cannot be read or is not a result.
    """
    return Result.from_json(read_json(path, RECORD_BYTES), str(path))


def write_result(path: Path, result: Result) -> None:
    """Write a result as JSON, whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    text = json.dumps(result.to_json(), indent=1, allow_nan=False)
    with atomic_file(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def default_out(bundle: Bundle, file: ModelFile, device: str) -> Path:
    """Where a result is written if nobody says where."""
    parts = bundle.spec.name, bundle.sha256[:8], Path(file.path).stem, f"{device}.json"
    return Path("results") / file_name_of("-".join(parts))
