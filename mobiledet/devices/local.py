"""This machine as a device: LiteRT on its processor."""

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np

from mobiledet.bundle import Bundle, ModelFile
from mobiledet.cores import usable_cores
from mobiledet.data.images import load_rgb, resize
from mobiledet.detections import Detections
from mobiledet.devices.base import (
    BenchmarkPlan,
    BenchmarkSamples,
    ColdStart,
    DeviceInfo,
    DeviceState,
    Execution,
    Frame,
    GoldenReport,
    StageTimes,
)
from mobiledet.devices.golden import replay_golden
from mobiledet.devices.litert import LiteRtDetector
from mobiledet.devices.machine import cpu_name, machine_model, machine_state, os_name
from mobiledet.errors import UserError

COLD_STARTS = 3


class LocalDevice:
    """The machine that this code runs on."""

    def info(self) -> DeviceInfo:
        return DeviceInfo(
            name="local",
            model=machine_model(),
            os=os_name(),
            cpu=cpu_name(),
            cores=usable_cores(),
            runtime="litert",
            runtime_version=version("ai-edge-litert"),
        )

    def state(self) -> DeviceState:
        return machine_state()

    def load(self, bundle: Bundle, file: ModelFile, accelerator: str = "auto", threads: int = 0) -> "LocalSession":
        """Load a .tflite file; see ``Device.load``."""
        if file.format != "tflite":
            raise UserError(f"{bundle.path}: {file.path} is {file.format}; this machine runs tflite files")
        return LocalSession(bundle, file, accelerator, threads or usable_cores())


class LocalSession:
    """A .tflite file of a bundle, loaded in this process."""

    def __init__(self, bundle: Bundle, file: ModelFile, accelerator: str, threads: int) -> None:
        self._bundle = bundle
        self._file = file
        self._detector = LiteRtDetector(bundle.root / file.path, accelerator, threads)
        spec = bundle.spec.input
        if (self._detector.height, self._detector.width) != (spec.height, spec.width):
            raise UserError(
                f"{bundle.path}: {file.path} takes {self._detector.height} x {self._detector.width} pixels, "
                f"bundle.json says {spec.height} x {spec.width}; export the bundle again"
            )
        self.execution = Execution(accelerator, self._detector.accelerator, self._detector.delegated_share, threads)

    def golden(self) -> GoldenReport:
        return replay_golden(self._bundle, self._file, self._detect_input)

    def detect(self, images: Iterable[Path], apply_orientation: bool = False) -> Iterator[Frame]:
        for image in images:
            started = time.perf_counter_ns()
            try:
                rgb = load_rgb(image, apply_orientation)
            except UserError as error:
                yield Frame(image, Detections.empty(), None, str(error))
                continue
            decoded = time.perf_counter_ns()
            self._detector.set_input(resize(rgb, self._detector.height, self._detector.width))
            prepared = time.perf_counter_ns()
            self._detector.invoke()
            inferred = time.perf_counter_ns()
            height, width = rgb.shape[:2]
            detections = self._detector.detections(height, width, len(self._bundle.spec.labels))
            finished = time.perf_counter_ns()
            times = StageTimes(decoded - started, prepared - decoded, inferred - prepared, finished - inferred)
            yield Frame(image, detections, times, height=height, width=width)

    def benchmark(self, plan: BenchmarkPlan) -> BenchmarkSamples:
        image = self._bundle.golden()[0].image
        cold_starts = tuple(self._cold_start() for _ in range(COLD_STARTS))
        warmup = self._repeat(image, plan.warmup_runs, plan.warmup_seconds)
        states = [machine_state()]
        samples = self._repeat(image, plan.runs // 2, plan.seconds / 2)
        states.append(machine_state())
        samples += self._repeat(image, plan.runs - plan.runs // 2, plan.seconds / 2)
        states.append(machine_state())
        return BenchmarkSamples(tuple(samples), len(warmup), cold_starts, tuple(states))

    def _detect_input(self, image: np.ndarray) -> Detections:
        self._detector.set_input(image)
        self._detector.invoke()
        return self._detector.detections(1, 1, len(self._bundle.spec.labels))

    def _repeat(self, image: np.ndarray, runs: int, seconds: float) -> list[int]:
        """Nanoseconds of each run, at least ``runs`` of them and for at least ``seconds``."""
        samples: list[int] = []
        end = time.perf_counter() + seconds
        while len(samples) < runs or time.perf_counter() < end:
            self._detector.set_input(image)
            started = time.perf_counter_ns()
            self._detector.invoke()
            samples.append(time.perf_counter_ns() - started)
        return samples

    def _cold_start(self) -> ColdStart:
        path = str(self._bundle.root / self._file.path)
        program = [sys.executable, "-m", "mobiledet.devices.cold_start", path]
        arguments = [self.execution.requested, str(self.execution.threads)]
        done = subprocess.run([*program, *arguments], capture_output=True, text=True)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"]
            raise UserError(f"{path} cannot be run in a fresh process: {lines[-1]}")
        return ColdStart(**json.loads(done.stdout))
