"""The messages of the agent protocol, as specified in apps/PROTOCOL.md and apps/protocol/messages.schema.json."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from mobiledet.devices.base import BenchmarkPlan, BenchmarkSamples, DeviceInfo, Execution, StageTimes, Threads
from mobiledet.records import Count, Range, decode, float32_json, load_json

PROTOCOL = 1
LENGTH_BYTES = 4  # before each image of a batch, big-endian


@dataclass(frozen=True)
class Limits:
    """The limits of an agent.

    Attributes:
        body_bytes: maximum size of a request body.
        bundle_bytes: maximum size of the files of a bundle, unpacked.
        sessions: maximum number of open sessions.
        idle_seconds: time without a request after which a session may be closed to make room for another.
        wait_seconds: maximum duration of a long poll.
    """

    body_bytes: Count
    bundle_bytes: Count
    sessions: Count
    idle_seconds: Count
    wait_seconds: Count


@dataclass(frozen=True)
class AgentInfo:
    """Description of an agent.

    Attributes:
        protocol: the only supported version of the protocol.
        agent: name and version of the program.
        device: the device that it runs on.
        accelerators: accelerators that a session may request.
        limits: limits of this agent.
    """

    protocol: int
    agent: str
    device: DeviceInfo
    accelerators: tuple[str, ...]
    limits: Limits


@dataclass(frozen=True)
class BundleInfo:
    """A bundle that the agent has; ``sha256`` is that of its SHA256SUMS, which identifies its content."""

    sha256: str


@dataclass(frozen=True)
class SessionRequest:
    """Request to load a model file.

    Attributes:
        key: random key from the client; a request with the key of an open session returns that session.
        bundle: sha256 of the bundle.
        file: path of the model file in the bundle.
        accelerator: an accelerator of the agent, or ``auto``.
        threads: number of CPU threads; 0 uses every core.
    """

    key: Annotated[str, Range(1, 200)]
    bundle: str
    file: str
    accelerator: str
    threads: Threads


@dataclass(frozen=True)
class SessionInfo:
    """A loaded model file.

    Attributes:
        id: identifier for paths.
        bundle: sha256 of the loaded bundle.
        device: the device, with the runtime that executes the file.
        execution: requested and actual accelerator.
    """

    id: str
    bundle: str
    device: DeviceInfo
    execution: Execution


@dataclass(frozen=True)
class FoundLine:
    """One line of a reply to images or tensors: the detections in one of them.

    Attributes:
        index: index of the image in the batch, from 0.
        height, width: size of the decoded image in pixels; 1 for a tensor; 0 if it could not be decoded.
        boxes: (x1, y1, x2, y2) in pixels of the image, possibly beyond it in a letterbox; fractions for a tensor. Best
            score first.
        scores: scores in 0..1.
        labels: class indices.
        times: durations by the device's monotonic clock; None if the image could not be decoded.
        problem: why the image could not be decoded; empty if it was.
    """

    index: int
    height: int
    width: int
    boxes: Sequence[Sequence[float]]
    scores: Sequence[float]
    labels: Sequence[int]
    times: StageTimes | None
    problem: str = ""


@dataclass(frozen=True)
class BenchRequest:
    """Request to measure latency.

    Attributes:
        key: random key from the client; a request with the key of the session's job returns that job.
        plan: how long to measure.
    """

    key: Annotated[str, Range(1, 200)]
    plan: BenchmarkPlan


@dataclass(frozen=True)
class ErrorMessage:
    """Why a request was refused.

    Attributes:
        error: message for the user, one line.
        code: code for programs, one of those in apps/PROTOCOL.md.
    """

    error: str
    code: str


@dataclass(frozen=True)
class JobInfo:
    """The state of a benchmark.

    Attributes:
        id: identifier for paths.
        status: state of the job.
        samples: samples of a finished job; None also for an interpreter, whose times are meaningless.
        error: error of a failed job.
    """

    id: str
    status: Literal["running", "done", "failed", "cancelled"]
    samples: BenchmarkSamples | None = None
    error: ErrorMessage | None = None


def to_bytes(message: Any) -> bytes:
    """Encode a message as JSON on one line.

    Raises:
        ValueError: a number in it is NaN or infinite.
    """
    if isinstance(message, FoundLine):
        return _found_line(message)
    # vars() instead of asdict(), which would copy every coordinate of every box
    return json.dumps(vars(message), default=dataclasses.asdict, allow_nan=False, separators=(",", ":")).encode()


def _found_line(line: FoundLine) -> bytes:
    """A faster encoder for the most frequent and largest message."""
    boxes, scores = float32_json(line.boxes), float32_json(line.scores)
    times = json.dumps(vars(line.times) if line.times else None, separators=(",", ":"))
    labels = ",".join(map(str, line.labels))
    return (
        f'{{"index":{line.index},"height":{line.height},"width":{line.width},"boxes":{boxes},"scores":{scores},'
        f'"labels":[{labels}],"times":{times},"problem":{json.dumps(line.problem)}}}'
    ).encode()


def from_bytes(kind: Any, content: bytes) -> Any:
    """Decode a message of the type ``kind`` from JSON.

    Raises:
        ValueError: the content is not JSON, or a field is missing, unknown, of another type or out of range.
    """
    return decode(kind, load_json(content))
