"""The interface of all devices (this machine, a phone, a board, a browser): records and protocols."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Protocol

import numpy as np

from mobiledet.bundle import Bundle, ModelFile
from mobiledet.data.images import ImageSource
from mobiledet.detections import Detections
from mobiledet.placement import Placement
from mobiledet.records import Count, Range, Share
from mobiledet.spec import InputSpec

MAX_THREADS = 512
MAX_RUNS, MAX_SECONDS, MAX_FPS = 10_000_000, 86_400.0, 1000.0
MAX_NS = (1 << 53) - 1  # a hundred days, and exact in every language

Threads = Annotated[int, Range(0, MAX_THREADS)]
Nanoseconds = Annotated[int, Range(0, MAX_NS)]
Seconds = Annotated[float, Range(0, MAX_SECONDS)]


@dataclass(frozen=True)
class DeviceInfo:
    """Description of a device.

    Attributes:
        name: address of the device, such as ``local``.
        model: model of the machine or phone.
        os: operating system with its version or build.
        cpu: name of the processor.
        cores: number of cores that the runtime may use.
        runtime: the runtime that executes the model file, such as ``litert``.
        runtime_version: version of the runtime.
    """

    name: str
    model: str
    os: str
    cpu: str
    cores: Count
    runtime: str
    runtime_version: str


@dataclass(frozen=True)
class DeviceState:
    """The state of a device at one moment; None or empty for values that it does not report.

    Attributes:
        memory_bytes: current memory of the process that runs the model.
        peak_memory_bytes: peak memory of that process.
        temperatures_c: temperature of each thermal zone in degrees Celsius, by name.
        thermal_status: thermal status in the system's terms, such as Android's ``light``.
        load: number of runnable processes, mean of the last minute.
        foreground: whether the app is in the foreground; a system may slow down or stop an app that is not.
        battery: charge of the battery, 0..1.
        charging: whether the battery is being charged.
        power_saving: whether the power-saving mode is on.
    """

    memory_bytes: Count | None
    peak_memory_bytes: Count | None
    temperatures_c: dict[str, float]
    thermal_status: str | None
    load: Annotated[float, Range(0)] | None
    foreground: bool | None = None
    battery: Share | None = None
    charging: bool | None = None
    power_saving: bool | None = None


@dataclass(frozen=True)
class StageTimes:
    """Durations for one image, in nanoseconds of a monotonic clock.

    Attributes:
        decode: decoding, JPEG to RGB.
        preprocess: resizing, conversion, copy into the input tensor.
        infer: running the model file.
        postprocess: copy of the outputs, scaling of the boxes to the image.
    """

    decode: int
    preprocess: int
    infer: int
    postprocess: int


@dataclass(frozen=True)
class Frame:
    """The result of a device for one image.

    Attributes:
        image: path of the image; for bytes and pixels the index among the images: 0, 1, 2, ...
        detections: detections, boxes xyxy in pixels of the decoded image.
        times: durations; None if the image could not be read.
        problem: why the image could not be read; empty if it was read.
        height, width: size of the decoded image in pixels; 0 if it could not be read.
        whole: with tiles, the frame of the whole image alone; None otherwise.
    """

    image: Path
    detections: Detections
    times: StageTimes | None
    problem: str = ""
    height: int = 0
    width: int = 0
    whole: "Frame | None" = None

    def cut(self, spec: InputSpec) -> "Frame":
        """The same frame without detections in the padding of a letterbox, with boxes clipped to the image."""
        if self.problem:
            return self
        return replace(self, detections=Placement.of(self.height, self.width, spec).visible(self.detections))


@dataclass(frozen=True)
class BenchmarkPlan:
    """How long to measure. Minimum number of runs and minimum time must both be reached.

    Attributes:
        warmup_runs, warmup_seconds: minimum number and duration of warm-up runs.
        warmup_limit_seconds: maximum duration of the warm-up, which continues until the latency is steady; 0 does not
            wait for a steady latency.
        runs, seconds: minimum number and duration of timed runs.
        fps: start runs at the rate of a camera; 0 starts each run when the previous one has ended.
        state_seconds: interval between readings of the device's state during the timed runs; 0 reads it only before and
            after them.
    """

    warmup_runs: Annotated[int, Range(0, MAX_RUNS)] = 10
    warmup_seconds: Seconds = 1.0
    warmup_limit_seconds: Seconds = 10.0
    runs: Annotated[int, Range(1, MAX_RUNS)] = 50
    seconds: Seconds = 10.0
    fps: Annotated[float, Range(0, MAX_FPS)] = 0.0
    state_seconds: Seconds = 5.0


@dataclass(frozen=True)
class ColdStart:
    """First load and first run of a model file in a fresh process.

    Attributes:
        load_ns: time to open the file, build the graph and pass it to the accelerator.
        first_infer_ns: time of the first run.
        memory_bytes: growth of the process from before the load to after the first run; None if unknown.
    """

    load_ns: Nanoseconds
    first_infer_ns: Nanoseconds
    memory_bytes: int | None


@dataclass(frozen=True)
class BenchmarkSamples:
    """All raw samples of a benchmark.

    Times of starts and states are relative to the start of the first timed run, with a rate to its due time.

    Attributes:
        infer_ns: duration of each timed run, in order.
        started_ns: start of each timed run.
        warmup_ns: duration of each warm-up run.
        steady: whether the latency was steady after the warm-up; True if the plan does not wait for that.
        cold_starts: cold starts, each in a fresh process.
        states: states of the device before, during and after the timed runs.
        state_ns: time of each state; the first one is before 0.
    """

    infer_ns: tuple[int, ...]
    started_ns: tuple[int, ...]
    warmup_ns: tuple[int, ...]
    steady: bool
    cold_starts: tuple[ColdStart, ...]
    states: tuple[DeviceState, ...]
    state_ns: tuple[int, ...]


@dataclass(frozen=True)
class Execution:
    """How a model file is really executed.

    Attributes:
        requested: the requested accelerator.
        actual: the accelerator that runs the file.
        delegated_share: fraction of the graph's operations that run on it, 0..1; None if the runtime does not report
            it.
        threads: number of CPU threads.
    """

    requested: str
    actual: str
    delegated_share: Share | None
    threads: Threads


@dataclass(frozen=True)
class GoldenReport:
    """The largest differences between actual and expected outputs for the golden inputs.

    Attributes:
        cases: number of golden inputs.
        detections: number of expected detections in them.
        lowest_iou: lowest IoU of the matched pairs.
        largest_score_difference: largest score difference of the matched pairs.
    """

    cases: Count
    detections: Count
    lowest_iou: Annotated[float, Range(0, 1.001)]  # of rounded numbers
    largest_score_difference: Share


class ImageModel(Protocol):
    """A detector that runs on one image of its input size at a time: a model file in a runtime of this machine."""

    def set_input(self, image: np.ndarray) -> None:
        """Set the image, height x width x 3 uint8 RGB; it must be set again before each run."""

    def invoke(self) -> None:
        """Run on the image."""

    def detections(self, image_height: int, image_width: int, class_count: int | None = None) -> Detections:
        """The detections of the last run; see ``to_detections``."""


class LoadedFile(ImageModel, Protocol):
    """A model file in a runtime.

    Attributes:
        height, width: size of the input in pixels.
        accelerator: the accelerator that runs the file.
    """

    height: int
    width: int
    accelerator: str

    @property
    def delegated_share(self) -> float | None:
        """Fraction of the graph's operations that run on it, 0..1; None if the runtime does not report it."""


class Session(Protocol):
    """A model file that has been loaded on a device."""

    @property
    def execution(self) -> Execution:
        """How the file is executed."""

    def golden(self) -> GoldenReport:
        """Run the golden cases of the file and check the outputs; a session that fails must not be measured.

        Raises:
            UserError: the outputs differ from the expected ones by more than the tolerance for the accelerator.
        """

    def detect(self, images: Iterable[ImageSource], apply_orientation: bool = False) -> Generator[Frame, None, None]:
        """Run on images; yields a frame for each image in order, also for unreadable ones.

        Close the generator if it is not used up.

        Args:
            images: JPEG or PNG files, their bytes, or pixels, each height x width x 3 uint8 RGB.
            apply_orientation: rotate the image by its EXIF orientation; boxes are then in pixels of the rotated image.
        """

    def benchmark(self, plan: BenchmarkPlan) -> BenchmarkSamples | None:
        """Time the file on a golden input; None for an interpreter, whose times are meaningless."""


class Device(Protocol):
    """Something that runs model files."""

    def info(self) -> DeviceInfo:
        """Description of the device."""

    def state(self) -> DeviceState:
        """Current state of the device."""

    def load(self, bundle: Bundle, file: ModelFile, accelerator: str = "auto", threads: int = 0) -> Session:
        """Load a model file of a bundle.

        Args:
            bundle, file: the model file to load.
            accelerator: an accelerator of the device; ``auto`` uses the best one that works.
            threads: number of CPU threads; 0 uses every core.

        Raises:
            UserError: the accelerator is unknown or does not support the file, or the file cannot be run.
        """

    def close(self) -> None:
        """Release the device and restore its settings; its sessions end."""
