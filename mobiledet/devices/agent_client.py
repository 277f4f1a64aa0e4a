"""An agent as a device: a phone, a board or another machine that speaks the protocol of apps/PROTOCOL.md."""

import dataclasses
import io
import secrets
import tempfile
import time
import weakref
import zipfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mobiledet.bundle import Bundle, ModelFile
from mobiledet.data.images import load_rgb, resize
from mobiledet.detections import Detections
from mobiledet.devices import InputMode
from mobiledet.devices.agent.answers import check_benchmark, read_lines, to_detections
from mobiledet.devices.agent.connection import AgentConnection, AgentRefusal
from mobiledet.devices.agent.messages import (
    LENGTH_BYTES,
    PROTOCOL,
    AgentInfo,
    BenchRequest,
    BundleInfo,
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
from mobiledet.devices.golden import replay_golden
from mobiledet.errors import UserError

BATCH_IMAGES = 16
BATCH_BYTES = 8 << 20
LOAD_SECONDS = 300.0  # a phone may compile the file for its accelerator
POLL_SECONDS = 10


class AgentDevice:
    """A device behind an agent.

    Args:
        address: http://HOST:PORT.
        token: of the agent; by default that of the environment.
        mode: ``image`` sends the files as they are, ``tensor`` the model's input.

    Raises:
        UserError: nothing answers there, the token is wrong, or the agent speaks another version of the protocol.
    """

    def __init__(self, address: str, token: str = "", mode: InputMode = "image") -> None:
        self._connection = AgentConnection(address, given_token(token))
        self._address = address
        self._mode = mode
        self._agent = self._greet()
        self._info = self._agent.device

    def info(self) -> DeviceInfo:
        return dataclasses.replace(self._info, name=self._address)

    def state(self) -> DeviceState:
        state: DeviceState = self._connection.ask(DeviceState, "GET", "/v1/state")
        return state

    def load(self, bundle: Bundle, file: ModelFile, accelerator: str = "auto", threads: int = 0) -> "AgentSession":
        """Bring the bundle there unless it is there already, and load the file; see ``Device.load``."""
        self._bring(bundle)
        request = SessionRequest(secrets.token_hex(16), bundle.sha256, file.path, accelerator, threads)
        info: SessionInfo = self._connection.ask(SessionInfo, "POST", "/v1/sessions", request, seconds=LOAD_SECONDS)
        session = AgentSession(self._connection, info, bundle, file, self._mode, self._agent.limits.body_bytes)
        if info.bundle != bundle.sha256:
            raise UserError(f"the agent at {self._address} runs bundle {info.bundle[:12]}, not {bundle.sha256[:12]}")
        self._info = info.device
        return session

    def close(self) -> None:
        self._connection.close()

    def _greet(self) -> AgentInfo:
        content = self._connection.request("GET", "/v1/info", retries=()).content
        try:
            version = load_json(content)["protocol"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"what answers at {self._address} is no agent of mobiledet") from error
        if version != PROTOCOL:
            raise UserError(
                f"the agent at {self._address} speaks version {version} of the protocol, this is version {PROTOCOL}; "
                "bring both to the same release"
            )
        info: AgentInfo = self._connection.ask(AgentInfo, "GET", "/v1/info")
        return info

    def _bring(self, bundle: Bundle) -> None:
        path = f"/v1/bundles/{bundle.sha256}"
        try:
            self._connection.request("GET", path)
        except AgentRefusal as refusal:
            if refusal.code != "unknown_bundle":
                raise
            with zipped(bundle) as archive:
                most = self._agent.limits.body_bytes
                if archive.stat().st_size > most:
                    message = f"{bundle.path} is too large for the agent at {self._address}: it takes {most} bytes"
                    raise UserError(message) from None
                held: BundleInfo = self._connection.ask(BundleInfo, "PUT", path, archive, seconds=LOAD_SECONDS)
            if held.sha256 != bundle.sha256:
                raise UserError(
                    f"the agent at {self._address} holds bundle {held.sha256}, not {bundle.sha256}"
                ) from None


class AgentSession:
    """A model file that an agent has loaded.

    Nothing is sent while the device computes, so that its times are those of the file alone.
    """

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
        """Have the agent replay the golden cases, then send them as any other image and compare here; see ``Session``.

        The agent's own word is not enough: it may be broken in the very way that the gate is there to find.
        """
        self._connection.ask(GoldenReport, "POST", f"{self._path}/golden", seconds=LOAD_SECONDS)
        prepare = _tensor_item if self._mode == "tensor" else _picture_item
        items = [prepare(case.image, index) for index, case in enumerate(self._bundle.golden())]
        found = (_fractions(frame) for frame in self._frames(items, apply_orientation=False))
        return replay_golden(self._bundle, self._file, lambda image: next(found))

    def detect(self, images: Iterable[Path], apply_orientation: bool = False) -> Generator[Frame, None, None]:
        if self._mode == "image":
            return self._frames(map(_file_item, images), apply_orientation)
        size = self._bundle.spec.input
        items = (_prepared_item(path, size.height, size.width, apply_orientation) for path in images)
        return self._frames(items, apply_orientation=False)

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

    def _frames(self, items: Iterable["_Item"], apply_orientation: bool) -> Generator[Frame, None, None]:
        for batch in _batches(items, self._batch_bytes):
            sent = [item for item in batch if not item.problem]
            answers = iter(self._detect(sent, apply_orientation) if sent else ())
            for item in batch:
                yield Frame(item.path, Detections.empty(), None, item.problem) if item.problem else next(answers)

    def _detect(self, items: Sequence["_Item"], apply_orientation: bool) -> Iterator[Frame]:
        """Send one batch."""
        endpoint = "tensor" if self._mode == "tensor" else f"images?orientation={int(apply_orientation)}"
        reply = self._connection.request("POST", f"{self._path}/{endpoint}", b"".join(item.content for item in items))
        lines = read_lines(reply.content, len(items), reply.seconds, self._bundle.spec.num_classes)
        for item, line in zip(items, lines, strict=True):
            problem = f"cannot decode image {item.path}: {line.problem}" if line.problem else ""
            found, height, width = to_detections(line), line.height, line.width
            if self._mode == "tensor":
                height, width = item.height, item.width
                scale = np.array([width, height, width, height], np.float32)
                found = dataclasses.replace(found, boxes_xyxy=found.boxes_xyxy * scale)
            yield Frame(item.path, found, line.times, problem, height, width)


@dataclass(frozen=True)
class _Item:
    """An image on its way.

    Attributes:
        path: where it comes from.
        content: what is sent of it.
        problem: why it cannot be sent.
        height, width: of the image that a tensor was made of.
    """

    path: Path
    content: bytes
    problem: str = ""
    height: int = 0
    width: int = 0


def _file_item(path: Path) -> _Item:
    try:
        return _encoded_item(path, path.read_bytes())
    except OSError as error:
        return _Item(path, b"", f"cannot decode image {path}: {str(error.strerror).lower()}")


def _encoded_item(path: Path, content: bytes) -> _Item:
    return _Item(path, len(content).to_bytes(LENGTH_BYTES, "big") + content)


def _prepared_item(path: Path, height: int, width: int, apply_orientation: bool) -> _Item:
    """The input of the model, made here."""
    try:
        rgb = load_rgb(path, apply_orientation)
    except UserError as error:
        return _Item(path, b"", str(error))
    return _Item(path, resize(rgb, height, width).tobytes(), height=rgb.shape[0], width=rgb.shape[1])


def _tensor_item(image: np.ndarray, index: int) -> _Item:
    """A golden input as it is."""
    return _Item(Path(f"golden case {index}"), image.tobytes(), height=1, width=1)


def _picture_item(image: np.ndarray, index: int) -> _Item:
    """A golden input as a picture without loss."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return _encoded_item(Path(f"golden case {index}"), buffer.getvalue())


def _fractions(frame: Frame) -> Detections:
    """Detections with boxes as fractions of the image."""
    if frame.problem:
        raise UserError(f"the agent {frame.problem}")
    size = np.array([frame.width, frame.height] * 2, np.float32)
    return dataclasses.replace(frame.detections, boxes_xyxy=frame.detections.boxes_xyxy / size)


def _batches(items: Iterable[_Item], most_bytes: int) -> Iterator[list[_Item]]:
    """Neighbours together, up to ``BATCH_IMAGES`` and so many bytes; a larger one goes alone."""
    batch: list[_Item] = []
    size = 0
    for item in items:
        if batch and (len(batch) == BATCH_IMAGES or size + len(item.content) > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += len(item.content)
    if batch:
        yield batch


@contextmanager
def zipped(bundle: Bundle) -> Iterator[Path]:
    """The files of a bundle as one zip file, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="mobiledet-upload-") as folder:
        path = Path(folder) / "bundle.zip"
        with zipfile.ZipFile(path, "w") as archive:  # stored, not deflated: weights hardly shrink
            for file in sorted(path for path in bundle.root.rglob("*") if path.is_file()):
                archive.write(file, file.relative_to(bundle.root).as_posix())
        yield path


def _close(connection: AgentConnection, path: str) -> None:
    """Close a session that nobody needs any more, if the agent is still there."""
    with suppress(UserError):
        connection.request("DELETE", path, seconds=5, retries=())
    connection.close()
