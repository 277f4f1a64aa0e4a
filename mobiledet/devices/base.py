"""What evaluation asks of a device, be it this machine, a phone, a board or a browser: records and protocols."""

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

MOST_THREADS = 512
MOST_RUNS, MOST_SECONDS, MOST_FPS = 10_000_000, 86_400.0, 1000.0
MOST_NS = (1 << 53) - 1  # a hundred days, and exact in every language

Threads = Annotated[int, Range(0, MOST_THREADS)]
Nanoseconds = Annotated[int, Range(0, MOST_NS)]
Seconds = Annotated[float, Range(0, MOST_SECONDS)]


@dataclass(frozen=True)
class DeviceInfo:
    """What a device is.

    Attributes:
        name: how it was addressed, such as ``local``.
        model: of the machine or phone.
        os: operating system with its version or build.
        cpu: name of the processor.
        cores: that the runtime may use.
        runtime: what executes the model file, such as ``litert``; results of different runtimes are told apart by it.
        runtime_version: of that.
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
    """How a device is at one moment; None and empty where it cannot tell.

    Attributes:
        memory_bytes: of the process that runs the model, now.
        peak_memory_bytes: the most it has held.
        temperatures_c: degrees Celsius of each thermal zone, by name.
        thermal_status: the system's own word, such as Android's ``light``.
        load: runnable processes, mean of the last minute.
        foreground: whether the app is what the person sees; a system may slow down or stop one that is not.
        battery: charge, 0..1.
        charging: whether it is being charged.
        power_saving: whether the system saves power.
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
    """Nanoseconds of a monotonic clock for one image.

    Attributes:
        decode: JPEG to RGB.
        preprocess: resize, convert, copy into the input tensor.
        infer: the model file alone.
        postprocess: copy the outputs, scale the boxes to the image.
    """

    decode: int
    preprocess: int
    infer: int
    postprocess: int


@dataclass(frozen=True)
class Frame:
    """What a device made of one image.

    Attributes:
        image: the file; for bytes and pixels their place among the images, 0, 1, 2, ...
        detections: boxes in pixels of the image as it lies on disk.
        times: None when the image could not be read.
        problem: why the image could not be read; empty when it was.
        height, width: of the decoded image, in pixels; 0 when it could not be read.
        whole: where slices were run too, what the whole image alone gave; None otherwise.
    """

    image: Path
    detections: Detections
    times: StageTimes | None
    problem: str = ""
    height: int = 0
    width: int = 0
    whole: "Frame | None" = None

    def cut(self, spec: InputSpec) -> "Frame":
        """The same without what lies in the padding of a letterbox alone, boxes cut to the picture."""
        if self.problem:
            return self
        return replace(self, detections=Placement.of(self.height, self.width, spec).visible(self.detections))


@dataclass(frozen=True)
class BenchmarkPlan:
    """How long to measure: both the number of runs and the time are reached, first for the warm-up, then timed.

    Attributes:
        warmup_runs, warmup_seconds: at least so much before the timed runs.
        warmup_limit_seconds: the warm-up goes on for up to so long in all until it is steady; 0 does not ask for that.
        runs, seconds: at least so much is timed.
        fps: a run begins when a camera of this rate has the next image; 0 begins each run when the last one has ended.
        state_seconds: time between two looks at the device's state during the timed runs; 0 looks before and after.
    """

    warmup_runs: Annotated[int, Range(0, MOST_RUNS)] = 10
    warmup_seconds: Seconds = 1.0
    warmup_limit_seconds: Seconds = 10.0
    runs: Annotated[int, Range(1, MOST_RUNS)] = 50
    seconds: Seconds = 10.0
    fps: Annotated[float, Range(0, MOST_FPS)] = 0.0
    state_seconds: Seconds = 5.0


@dataclass(frozen=True)
class ColdStart:
    """A process that has just started meets the model file for the first time.

    Attributes:
        load_ns: open the file, build the graph, hand it to the accelerator.
        first_infer_ns: the first run.
        memory_bytes: that the process grew by, at its peak, from before the load to after the first run.
    """

    load_ns: Nanoseconds
    first_infer_ns: Nanoseconds
    memory_bytes: int | None


@dataclass(frozen=True)
class BenchmarkSamples:
    """Raw samples, nothing left out and nothing averaged.

    Times of starts and states count from the start of the first timed run, with a rate from when it was due.

    Attributes:
        infer_ns: each timed run of the model file, in order.
        started_ns: when each of them began.
        warmup_ns: each run before them.
        steady: whether the warm-up had become steady; True where the plan does not ask for that.
        cold_starts: each in a process of its own.
        states: of the device before, along and after the timed runs.
        state_ns: when each of them was read; the first one before 0.
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
        requested: the accelerator that was asked for.
        actual: the one that runs the file.
        delegated_share: part of the graph's operations that runs on it, 0..1; None where the runtime does not tell.
        threads: of the processor.
    """

    requested: str
    actual: str
    delegated_share: Share | None
    threads: Threads


@dataclass(frozen=True)
class GoldenReport:
    """How far the outputs of the golden inputs are from the expected ones, at worst.

    Attributes:
        cases: golden inputs replayed.
        detections: expected detections in them.
        lowest_iou: of the matched pairs.
        largest_score_difference: of the matched pairs.
    """

    cases: Count
    detections: Count
    lowest_iou: Annotated[float, Range(0, 1.001)]  # of rounded numbers
    largest_score_difference: Share


class ImageModel(Protocol):
    """What runs a detector on one image of its input's size at a time: a model file in a runtime of this machine."""

    def set_input(self, image: np.ndarray) -> None:
        """Take an image, height x width x 3 uint8 RGB; anew before each run."""

    def invoke(self) -> None:
        """Run on it."""

    def detections(self, image_height: int, image_width: int, class_count: int | None = None) -> Detections:
        """What the last run found; see ``to_detections``."""


class LoadedFile(ImageModel, Protocol):
    """A model file in a runtime.

    Attributes:
        height, width: of the image, in pixels.
        accelerator: the one that runs the file.
    """

    height: int
    width: int
    accelerator: str

    @property
    def delegated_share(self) -> float | None:
        """Part of the graph's operations that runs on it, 0..1; None where the runtime does not tell."""


class Session(Protocol):
    """A model file that has been loaded on a device."""

    @property
    def execution(self) -> Execution:
        """How the file is executed."""

    def golden(self) -> GoldenReport:
        """Replay the golden cases of the file; nothing may be reported of a session that fails.

        Raises:
            UserError: the outputs are not what the file gives, within its tolerance for the session's accelerator.
        """

    def detect(self, images: Iterable[ImageSource], apply_orientation: bool = False) -> Generator[Frame, None, None]:
        """Detect in images, one frame for each in their order; an unreadable one is told in its frame.

        Close it when no more of it is wanted.

        Args:
            images: JPEG or PNG files, their bytes, or pixels, each height x width x 3 uint8 RGB.
            apply_orientation: turn the image as its EXIF tag says; boxes are then in pixels of the turned image.
        """

    def benchmark(self, plan: BenchmarkPlan) -> BenchmarkSamples | None:
        """Run the file on a golden input again and again; None where an interpreter's times would say nothing."""


class Device(Protocol):
    """Something that runs model files."""

    def info(self) -> DeviceInfo:
        """What it is."""

    def state(self) -> DeviceState:
        """How it is now."""

    def load(self, bundle: Bundle, file: ModelFile, accelerator: str = "auto", threads: int = 0) -> Session:
        """Load a model file of a bundle.

        Args:
            bundle, file: what to run.
            accelerator: one of the device's own; ``auto`` takes the best that works.
            threads: of the processor; 0 takes every core.

        Raises:
            UserError: the accelerator is unknown or does not take the file, or the file cannot be run.
        """

    def close(self) -> None:
        """Let it go, and put back what was changed on it; sessions of it end."""
