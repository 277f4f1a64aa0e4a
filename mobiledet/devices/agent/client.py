"""An agent as a device: a phone, a board or another machine that implements the protocol of apps/PROTOCOL.md."""

import dataclasses
import itertools
import secrets
import time
import weakref
import zipfile
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from mobiledet.bundle import Bundle, ModelFile
from mobiledet.data.images import ImageSource
from mobiledet.detections import Detections
from mobiledet.devices.agent.answers import check_benchmark, read_lines, to_detections
from mobiledet.devices.agent.batch import (
    BatchSize,
    Item,
    batches,
    golden_item,
    image_item,
    prepared_item,
)
from mobiledet.devices.agent.connection import AgentConnection, AgentRefusal
from mobiledet.devices.agent.messages import (
    PROTOCOL,
    AgentInfo,
    BenchRequest,
    BundleInfo,
    FoundLine,
    JobInfo,
    SessionInfo,
    SessionRequest,
    load_json,
)
from mobiledet.devices.agent.token import given_token
from mobiledet.devices.base import (
    BenchmarkPlan,
    BenchmarkSamples,
    DeviceInfo,
    DeviceState,
    Execution,
    Frame,
    GoldenReport,
)
from mobiledet.devices.golden import as_fractions, replay_golden
from mobiledet.devices.options import InputMode
from mobiledet.errors import UserError
from mobiledet.files.leftovers import scratch_folder

BATCH_BYTES = 8 << 20
LOAD_SECONDS = 300.0  # a phone may compile the file for its accelerator
POLL_SECONDS = 10


class AgentDevice:
    """A device behind an agent.

    Args:
        address: http://HOST:PORT.
        token: token of the agent; by default that of the environment.
        mode: ``image`` sends the files as they are, ``tensor`` the model's input.

    Raises:
        UserError: nothing answers at the address, the token is wrong, or the agent has another version of the protocol.
    """

    def __init__(self, address: str, token: str = "", mode: InputMode = "image") -> None:
        self._connection = AgentConnection(address, given_token(token))
        self._address = address
        self._mode = mode
        self._agent = self._check_protocol()
        self._info = self._agent.device

    def info(self) -> DeviceInfo:
        return dataclasses.replace(self._info, name=self._address)

    def state(self) -> DeviceState:
        state: DeviceState = self._connection.ask(DeviceState, "GET", "/v1/state")
        return state

    def load(self, bundle: Bundle, file: ModelFile, accelerator: str = "auto", threads: int = 0) -> "AgentSession":
        """Upload the bundle unless the agent has it already, and load the file; see ``Device.load``."""
        self._upload(bundle)
        request = SessionRequest(secrets.token_hex(16), bundle.sha256, file.path, accelerator, threads)
        info: SessionInfo = self._connection.ask(SessionInfo, "POST", "/v1/sessions", request, seconds=LOAD_SECONDS)
        session = AgentSession(self._connection, info, bundle, file, self._mode, self._agent.limits.body_bytes)
        if info.bundle != bundle.sha256:
            raise UserError(f"the agent at {self._address} runs bundle {info.bundle[:12]}, not {bundle.sha256[:12]}")
        self._info = info.device
        return session

    def close(self) -> None:
        self._connection.close()

    def _check_protocol(self) -> AgentInfo:
        content = self._connection.request("GET", "/v1/info", retries=()).content
        try:
            version = load_json(content)["protocol"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"the answer from {self._address} is not from an agent of mobiledet") from error
        if version != PROTOCOL:
            raise UserError(
                f"the agent at {self._address} has version {version} of the protocol, this is version {PROTOCOL}; "
                "install the same release on both sides"
            )
        info: AgentInfo = self._connection.ask(AgentInfo, "GET", "/v1/info")
        return info

    def _upload(self, bundle: Bundle) -> None:
        path = f"/v1/bundles/{bundle.sha256}"
        try:
            self._connection.request("GET", path)
        except AgentRefusal as refusal:
            if refusal.code != "unknown_bundle":
                raise
            with zipped(bundle) as archive:
                most = self._agent.limits.body_bytes
                if archive.stat().st_size > most:
                    message = f"{bundle.path} is too large for the agent at {self._address}, which accepts {most} bytes"
                    raise UserError(message) from None
                held: BundleInfo = self._connection.ask(BundleInfo, "PUT", path, archive, seconds=LOAD_SECONDS)
            if held.sha256 != bundle.sha256:
                raise UserError(
                    f"the agent at {self._address} holds bundle {held.sha256}, not {bundle.sha256}"
                ) from None


class AgentSession:
    """A model file that an agent has loaded."""

    def __init__(
        self,
        connection: AgentConnection,
        info: SessionInfo,
        bundle: Bundle,
        file: ModelFile,
        mode: InputMode,
        body_bytes: int,
    ) -> None:
        self._connection = connection
        self._path = f"/v1/sessions/{info.id}"
        self._bundle = bundle
        self._file = file
        self._mode = mode
        self._batch_bytes = min(BATCH_BYTES, body_bytes)
        self.execution: Execution = info.execution
        weakref.finalize(self, _close, connection, self._path)

    def golden(self) -> GoldenReport:
        """Let the agent run the golden cases, then send them like other images and compare here; see ``Session``.

        The agent's own check is not enough: it may have the very error that the golden gate should find.
        """
        self._connection.ask(GoldenReport, "POST", f"{self._path}/golden", seconds=LOAD_SECONDS)
        items = [golden_item(case, index, self._mode) for index, case in enumerate(self._bundle.golden(self._file))]
        spec = None if self._mode == "tensor" else self._bundle.spec.input
        found = (as_fractions(frame, spec) for frame in self._frames(items, apply_orientation=False))
        return replay_golden(self._bundle, self._file, self.execution.actual, lambda case: next(found))

    def detect(self, images: Iterable[ImageSource], apply_orientation: bool = False) -> Generator[Frame, None, None]:
        spec = self._bundle.spec.input
        if self._mode == "image":
            frames = self._frames(map(image_item, images, itertools.count()), apply_orientation)
        else:
            items = (prepared_item(image, index, spec, apply_orientation) for index, image in enumerate(images))
            frames = self._frames(items, apply_orientation=False)
        with closing(frames):
            for frame in frames:
                yield frame.cut(spec)

    def benchmark(self, plan: BenchmarkPlan) -> BenchmarkSamples | None:
        request = BenchRequest(secrets.token_hex(16), plan)
        started = time.monotonic()
        job: JobInfo = self._connection.ask(JobInfo, "POST", f"{self._path}/bench", request)
        while job.status == "running":
            job = self._connection.ask(JobInfo, "GET", f"/v1/jobs/{job.id}?wait={POLL_SECONDS}")
        if job.status != "done":
            reason = job.error.error if job.error else "it was cancelled"
            raise UserError(f"the benchmark at {self._connection.url} failed: {reason}")
        if job.samples:
            check_benchmark(job.samples, plan, time.monotonic() - started)
        return job.samples

    def _frames(self, items: Iterable[Item], apply_orientation: bool) -> Generator[Frame, None, None]:
        """The frames of the items, in their order.

        While the device processes a batch, the next one is read and sent on another connection, so that it never waits.
        """
        size = BatchSize()
        sent: deque[tuple[list[Item], Future[list[Frame]]]] = deque()
        connections = [self._connection.duplicate() for _ in range(2)]
        with ThreadPoolExecutor(len(connections)) as pool:
            try:
                for number, batch in enumerate(batches(items, size, self._batch_bytes)):
                    connection = connections[number % len(connections)]
                    sent.append((batch, pool.submit(self._detect, connection, batch, apply_orientation)))
                    if len(sent) == len(connections):
                        yield from _collect(*sent.popleft(), size)
                while sent:
                    yield from _collect(*sent.popleft(), size)
            finally:
                for connection in connections:
                    if sent:  # the rest is not needed
                        connection.give_up()
                    connection.close()

    def _detect(self, connection: AgentConnection, batch: Sequence[Item], apply_orientation: bool) -> list[Frame]:
        """Send one batch; returns the frames of the items that could be read."""
        items = [item for item in batch if not item.problem]
        if not items:
            return []
        endpoint = "tensor" if self._mode == "tensor" else f"images?orientation={int(apply_orientation)}"
        body = b"".join(item.content for item in items)
        reply = connection.request("POST", f"{self._path}/{endpoint}", body)
        lines = read_lines(reply.content, len(items), reply.seconds, self._bundle.spec.num_classes)
        return [self._frame(item, line) for item, line in zip(items, lines, strict=True)]

    def _frame(self, item: Item, line: FoundLine) -> Frame:
        problem = f"cannot decode image {item.path}: {line.problem}" if line.problem else ""
        found, height, width = to_detections(line), line.height, line.width
        if item.placement:
            height, width = int(item.placement.image_height), int(item.placement.image_width)
            found = item.placement.to_image(found)
        return Frame(item.path, found, line.times, problem, height, width)


def _collect(batch: Sequence[Item], answer: Future[list[Frame]], size: BatchSize) -> Iterator[Frame]:
    """Wait for the answer to a batch; yields a frame for each item, and adapts the batch size."""
    frames = answer.result()
    times = [frame.times for frame in frames if frame.times]
    if times:
        size.learn(len(times), sum(ns for each in times for ns in vars(each).values()))
    answers = iter(frames)
    for item in batch:
        yield Frame(item.path, Detections.empty(), None, item.problem) if item.problem else next(answers)


@contextmanager
def zipped(bundle: Bundle) -> Iterator[Path]:
    """The files of a bundle as one zip file, for as long as the block lasts."""
    with scratch_folder("upload") as folder:
        path = folder / "bundle.zip"
        with zipfile.ZipFile(path, "w") as archive:  # uncompressed, because weights hardly shrink
            for file in sorted(path for path in bundle.root.rglob("*") if path.is_file()):
                archive.write(file, file.relative_to(bundle.root).as_posix())
        yield path


def _close(connection: AgentConnection, path: str) -> None:
    """Close a session that is no longer needed, if the agent still answers."""
    with suppress(UserError):
        connection.request("DELETE", path, seconds=5, retries=())
    connection.close()
