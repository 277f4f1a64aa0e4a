"""This machine as a device: LiteRT and Apple's Core AI runtime on its processor, an interpreter for Core ML."""

import json
import subprocess
import time
from collections.abc import Callable, Generator, Iterable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np

import mobiledet
from mobiledet.bundle import Bundle, ModelFile
from mobiledet.data.images import Decoded, ImageSource, read_for_input
from mobiledet.data.resize import resize_to_input
from mobiledet.detections import Detections
from mobiledet.devices.base import (
    MAX_THREADS,
    BenchmarkPlan,
    BenchmarkSamples,
    ColdStart,
    DeviceInfo,
    DeviceState,
    Execution,
    Frame,
    GoldenReport,
    LoadedFile,
    StageTimes,
)
from mobiledet.devices.coreai import RUNTIME, CoreAiDetector
from mobiledet.devices.coreml import CoreMlDetector
from mobiledet.devices.golden import as_fractions, replay_golden
from mobiledet.devices.litert import LiteRtDetector
from mobiledet.devices.machine import cpu_name, emulator, machine_model, machine_state, os_name
from mobiledet.devices.served import ServedDetector
from mobiledet.devices.timing import Runner, time_runs
from mobiledet.devices.untimed import EMULATED, INTERPRETER
from mobiledet.errors import UserError
from mobiledet.golden import GoldenCase
from mobiledet.placement import Placement
from mobiledet.processes.child import child_command
from mobiledet.processes.cores import usable_cores

COLD_STARTS = 3


class LocalDevice:
    """The machine that this code runs on."""

    def __init__(self) -> None:
        self._runtime = _litert()

    def info(self) -> DeviceInfo:
        return DeviceInfo(
            name="local",
            model=machine_model(),
            os=os_name(),
            cpu=cpu_name(),
            cores=usable_cores(),
            runtime=self._runtime[0],
            runtime_version=self._runtime[1],
        )

    def state(self) -> DeviceState:
        return machine_state()

    def load(self, bundle: Bundle, file: ModelFile, accelerator: str = "auto", threads: int = 0) -> "LocalSession":
        """Load a .tflite file, a Core ML package into the interpreter, or a Core AI asset; see ``Device.load``."""
        if not 0 <= threads <= MAX_THREADS:
            raise UserError(f"{threads} threads were requested; possible are 1 to {MAX_THREADS}")
        path, threads = bundle.root / file.path, threads or usable_cores()
        detector: LoadedFile
        if file.format == "tflite":
            detector = LiteRtDetector(path, accelerator, threads)
            self._runtime = _litert()
        elif file.format == "coreml":
            detector = CoreMlDetector(path, accelerator, threads)
            self._runtime = (INTERPRETER, mobiledet.__version__)
        elif file.format == "coreai":
            detector = CoreAiDetector(path, accelerator, threads)
            self._runtime = (RUNTIME, version(RUNTIME))
        else:
            raise UserError(
                f"{bundle.path}: {file.path} is {file.format}; this machine runs tflite, coreml and coreai files"
            )
        return LocalSession(bundle, file, detector, accelerator, threads)

    def close(self) -> None:
        """Nothing to release."""


def _litert() -> tuple[str, str]:
    """Name and version of the runtime for .tflite files."""
    return EMULATED if emulator() else "litert", version("ai-edge-litert")


class LocalSession:
    """A model file of a bundle, loaded on this machine."""

    def __init__(
        self,
        bundle: Bundle,
        file: ModelFile,
        detector: LoadedFile,
        accelerator: str,
        threads: int,
    ) -> None:
        self._bundle = bundle
        self._file = file
        self._detector = detector
        spec = bundle.spec.input
        if (detector.height, detector.width) != (spec.height, spec.width):
            raise UserError(
                f"{bundle.path}: {file.path} takes {detector.height} x {detector.width} pixels, "
                f"bundle.json says {spec.height} x {spec.width}; export the bundle again"
            )
        self.execution = Execution(accelerator, detector.accelerator, detector.delegated_share, threads)

    def golden(self) -> GoldenReport:
        return replay_golden(self._bundle, self._file, self.execution.actual, self.replay)

    def replay(self, case: GoldenCase) -> Detections:
        """The detections in a golden case, boxes xyxy as fractions of the model's input."""
        if not case.encoded:
            return self.detect_input(case.image)[0]
        (frame,) = self.frames([case.encoded])
        return as_fractions(frame, self._bundle.spec.input)

    def detect(self, images: Iterable[ImageSource], apply_orientation: bool = False) -> Generator[Frame, None, None]:
        for frame in self.frames(images, apply_orientation):
            yield frame.cut(self._bundle.spec.input)

    def frames(self, images: Iterable[ImageSource], apply_orientation: bool = False) -> Generator[Frame, None, None]:
        """Like ``detect``, but boxes may reach beyond the image, into the padding of a letterbox."""
        for index, image in enumerate(images):
            name = image if isinstance(image, Path) else Path(str(index))
            yield self._frame(name, partial(read_for_input, image, name, self._bundle.spec.input, apply_orientation))

    def _frame(self, image: Path, decode: Callable[[], Decoded]) -> Frame:
        started = time.perf_counter_ns()
        try:
            decoded = decode()
        except UserError as error:
            return Frame(image, Detections.empty(), None, str(error))
        decoded_ns = time.perf_counter_ns()
        pixels = resize_to_input(decoded.pixels, self._bundle.spec.input, decoded.extent)
        placement = Placement.of(decoded.height, decoded.width, self._bundle.spec.input)
        detections, times = self._run(pixels, placement, started, decoded_ns)
        return Frame(image, detections, times, height=decoded.height, width=decoded.width)

    def detect_input(self, image: np.ndarray) -> tuple[Detections, StageTimes]:
        """Run on an image of the model's input size, height x width x 3 uint8 RGB; boxes are fractions of it."""
        started = time.perf_counter_ns()
        return self._run(image, None, started, started)

    def _run(
        self, pixels: np.ndarray, placement: Placement | None, started: int, decoded: int
    ) -> tuple[Detections, StageTimes]:
        """Run the file on its input; boxes are in pixels of the placed image, or fractions of the input without one."""
        self._detector.set_input(pixels)
        prepared = time.perf_counter_ns()
        self._detector.invoke()
        inferred = time.perf_counter_ns()
        detections = self._detector.detections(1, 1, len(self._bundle.spec.labels))
        if placement:
            detections = placement.to_image(detections)
        finished = time.perf_counter_ns()
        return detections, StageTimes(decoded - started, prepared - decoded, inferred - prepared, finished - inferred)

    def benchmark(
        self, plan: BenchmarkPlan, between_runs: Callable[[], None] = lambda: None
    ) -> BenchmarkSamples | None:
        """See ``Session.benchmark``; ``between_runs`` is called outside of the timed part and may raise to end it."""
        if isinstance(self._detector, ServedDetector) or emulator():
            return None
        image, detector = self._bundle.golden(self._file)[0].image, self._detector
        cold_starts = []
        for _ in range(COLD_STARTS):
            between_runs()
            cold_starts.append(self._cold_start())
        runner = Runner(lambda: detector.set_input(image), detector.invoke, machine_state, between_runs)
        return BenchmarkSamples(**vars(time_runs(runner, plan)), cold_starts=tuple(cold_starts))

    def _cold_start(self) -> ColdStart:
        path = str(self._bundle.root / self._file.path)
        program = child_command("mobiledet.devices.cold_start", path)
        arguments = [self.execution.requested, str(self.execution.threads)]
        done = subprocess.run([*program, *arguments], capture_output=True, text=True)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"]
            raise UserError(f"{path} cannot be run in a fresh process: {lines[-1]}")
        return ColdStart(**json.loads(done.stdout))
