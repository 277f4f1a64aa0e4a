"""The endpoints of the agent, independent of HTTP."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import numpy as np

import mobiledet
from mobiledet.detections import Detections
from mobiledet.devices.agent.bundle_store import BundleStore
from mobiledet.devices.agent.job import Job
from mobiledet.devices.agent.messages import (
    LENGTH_BYTES,
    PROTOCOL,
    AgentInfo,
    BenchRequest,
    BundleInfo,
    ErrorMessage,
    FoundLine,
    JobInfo,
    Limits,
    SessionInfo,
    SessionRequest,
)
from mobiledet.devices.agent.refusal import Refusal
from mobiledet.devices.agent.sessions import Loaded, Sessions
from mobiledet.devices.base import BenchmarkSamples, DeviceState, GoldenReport, StageTimes
from mobiledet.devices.litert import ACCELERATORS
from mobiledet.devices.local import LocalDevice
from mobiledet.errors import UserError

BUSY_SECONDS = 10.0
SHUTDOWN_SECONDS = 5.0
CACHE_BYTES = 4_096_000_000


class Agent:
    """This machine behind the agent protocol. Methods may be called by many threads; one at a time computes.

    Args:
        folder: folder for the bundles.
        limits: limits of the agent.
        cache_bytes: maximum total size of the bundles in the folder.
    """

    def __init__(self, folder: Path, limits: Limits, cache_bytes: int = CACHE_BYTES) -> None:
        self.limits = limits
        self._bundles = BundleStore(folder, limits.bundle_bytes, cache_bytes)
        self._sessions = Sessions(limits)
        self._starting = threading.Lock()
        self._computing = threading.Lock()  # concurrent runs would distort each other's times

    def info(self) -> AgentInfo:
        """GET /v1/info"""
        version = f"mobiledet {mobiledet.__version__}"
        return AgentInfo(PROTOCOL, version, LocalDevice().info(), tuple(ACCELERATORS), self.limits)

    def state(self) -> DeviceState:
        """GET /v1/state"""
        return LocalDevice().state()

    def bundle(self, sha256: str) -> BundleInfo:
        """GET /v1/bundles/{sha256}"""
        if not self._bundles.holds(sha256):
            raise Refusal(HTTPStatus.NOT_FOUND, "unknown_bundle", f"no bundle {sha256} is here")
        return BundleInfo(sha256)

    def add_bundle(self, sha256: str, content: Iterable[bytes]) -> tuple[BundleInfo, bool]:
        """PUT /v1/bundles/{sha256}; also returns whether it is new."""
        new = self._bundles.add(sha256, content)
        return BundleInfo(sha256), new

    def remove_bundle(self, sha256: str) -> None:
        """DELETE /v1/bundles/{sha256}"""
        self.bundle(sha256)
        self._bundles.remove(sha256)

    def open_session(self, request: SessionRequest) -> SessionInfo:
        """POST /v1/sessions"""
        return self._sessions.open(request, self._load).info

    def close_session(self, identity: str) -> None:
        """DELETE /v1/sessions/{id}"""
        self._sessions.close(identity)

    def golden(self, identity: str) -> GoldenReport:
        """POST /v1/sessions/{id}/golden"""
        loaded = self._sessions.get(identity)
        with self._exclusive():
            try:
                loaded.trusted = False
                report = loaded.session.golden()
            except UserError as error:
                raise Refusal(HTTPStatus.CONFLICT, "golden_failed", str(error)) from error
            loaded.trusted = True
            return report

    def images(self, identity: str, batch: bytes, apply_orientation: bool) -> Iterator[FoundLine | ErrorMessage]:
        """POST /v1/sessions/{id}/images: one line for each image of a batch, in order."""
        loaded = self._trusted(identity)
        images = _split(batch)
        with self._exclusive():
            try:
                for index, frame in enumerate(loaded.session.frames(images, apply_orientation)):
                    problem = frame.problem.removeprefix(f"cannot decode image {frame.image}: ")
                    yield _line(index, frame.height, frame.width, frame.detections, frame.times, problem)
            except UserError as error:
                yield ErrorMessage(str(error), "refused")

    def tensor(self, identity: str, batch: bytes) -> Iterator[FoundLine | ErrorMessage]:
        """POST /v1/sessions/{id}/tensor: one line for each input of the model, boxes as fractions."""
        loaded = self._trusted(identity)
        size = loaded.bundle.spec.input
        if not batch or len(batch) % (size.height * size.width * 3):
            message = f"{len(batch)} bytes are not a whole number of inputs of {size.height} x {size.width} x 3"
            raise Refusal(HTTPStatus.BAD_REQUEST, "bad_request", message)
        with self._exclusive():
            try:
                inputs = np.frombuffer(batch, np.uint8).reshape(-1, size.height, size.width, 3)
                for index, image in enumerate(inputs):
                    yield _line(index, 1, 1, *loaded.session.detect_input(image))
            except UserError as error:
                yield ErrorMessage(str(error), "refused")

    def bench(self, identity: str, request: BenchRequest) -> JobInfo:
        """POST /v1/sessions/{id}/bench"""
        loaded = self._trusted(identity)

        def measure(between_runs: Callable[[], None]) -> BenchmarkSamples | None:
            with self._computing:
                return loaded.session.benchmark(request.plan, between_runs)

        with self._starting:
            if loaded.job and loaded.job.request.key == request.key:
                return loaded.job.info
            if loaded.measures:
                raise Refusal(HTTPStatus.CONFLICT, "busy", "this session is being measured already")
            loaded.job = Job(request, measure)
            return loaded.job.info

    def job(self, identity: str, wait: float) -> JobInfo:
        """GET /v1/jobs/{id}?wait=SECONDS"""
        return self._sessions.job(identity).wait(min(wait, self.limits.wait_seconds))

    def cancel(self, identity: str) -> JobInfo:
        """DELETE /v1/jobs/{id}"""
        job = self._sessions.job(identity)
        job.cancel()
        return job.wait(BUSY_SECONDS)

    def close(self) -> None:
        """Close all sessions and stop all work."""
        self._sessions.close_all(SHUTDOWN_SECONDS)

    def _load(self, request: SessionRequest) -> Loaded:
        bundle = self._bundles.open(request.bundle)
        device = LocalDevice()
        with self._exclusive():
            try:
                file = bundle.select(request.file)
                session = device.load(bundle, file, request.accelerator, request.threads)
            except UserError as error:
                raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "refused", str(error)) from error
        return Loaded(request, bundle, device.info(), session)

    def _trusted(self, identity: str) -> Loaded:
        loaded = self._sessions.get(identity)
        if not loaded.trusted:
            message = "this session has not passed the golden gate; nothing runs before that"
            raise Refusal(HTTPStatus.CONFLICT, "golden_required", message)
        return loaded

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Hold the lock for computing, or refuse with "busy"."""
        if not self._computing.acquire(timeout=BUSY_SECONDS):
            raise Refusal(HTTPStatus.CONFLICT, "busy", "the device is busy with other work; try again later")
        try:
            yield
        finally:
            self._computing.release()


def _line(
    index: int, height: int, width: int, found: Detections, times: StageTimes | None, problem: str = ""
) -> FoundLine:
    boxes, scores, labels = found.boxes_xyxy.tolist(), found.scores.tolist(), found.labels.tolist()
    return FoundLine(index, height, width, boxes, scores, labels, times, problem)


def _split(batch: bytes) -> list[bytes]:
    """Split a batch into images: each is its length followed by its bytes."""
    images: list[bytes] = []
    start = 0
    while start < len(batch):
        begin = start + LENGTH_BYTES
        end = begin + int.from_bytes(batch[start:begin], "big")
        if end > len(batch):
            message = f"image {len(images)} of the batch extends beyond the end of the body"
            raise Refusal(HTTPStatus.BAD_REQUEST, "bad_request", message)
        images.append(batch[begin:end])
        start = end
    if not images:
        raise Refusal(HTTPStatus.BAD_REQUEST, "bad_request", "the batch holds no image")
    return images
