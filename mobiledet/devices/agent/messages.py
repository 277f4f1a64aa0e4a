"""The messages of the agent protocol, as they stand in apps/PROTOCOL.md and apps/protocol/messages.schema.json."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from mobiledet.devices.base import BenchmarkPlan, BenchmarkSamples, DeviceInfo, Execution, StageTimes, Threads
from mobiledet.records import Count, Range, decode, float32_json, load_json

PROTOCOL = 1
LENGTH_BYTES = 4  # before each image of a batch, highest byte first


@dataclass(frozen=True)
class Limits:
    """What an agent takes at most.

    Attributes:
        body_bytes: of one request.
        bundle_bytes: of all files of a bundle, unpacked.
        sessions: open at a time.
        idle_seconds: after so long without a request a session may be closed to make room for another.
        wait_seconds: of one long poll.
    """

    body_bytes: Count
    bundle_bytes: Count
    sessions: Count
    idle_seconds: Count
    wait_seconds: Count


@dataclass(frozen=True)
class AgentInfo:
    """Who answers.

    Attributes:
        protocol: version of the protocol; no other one is understood.
        agent: name and version of the program.
        device: where it runs.
        accelerators: that a session may ask for.
        limits: of this agent.
    """

    protocol: int
    agent: str
    device: DeviceInfo
    accelerators: tuple[str, ...]
    limits: Limits


@dataclass(frozen=True)
class BundleInfo:
    """A bundle that the agent holds; ``sha256`` is that of its SHA256SUMS, which names its exact content."""

    sha256: str


@dataclass(frozen=True)
class SessionRequest:
    """Load a model file.

    Attributes:
        key: chosen by the client at random; a request with the key of an open session gets that session.
        bundle: its sha256.
        file: path of the model file in the bundle.
        accelerator: one of the agent's, or ``auto``.
        threads: of the processor; 0 takes every core.
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
        id: names it in paths.
        bundle: sha256 of the bundle that was loaded.
        device: with the runtime that executes the file.
        execution: requested and actual accelerator.
    """

    id: str
    bundle: str
    device: DeviceInfo
    execution: Execution


@dataclass(frozen=True)
class FoundLine:
    """One line of a reply to images or tensors: what was found in one of them.

    Attributes:
        index: of the image in the batch, from 0.
        height, width: of the decoded image in pixels; 1 for a tensor; 0 when it could not be decoded.
        boxes: (x1, y1, x2, y2) in pixels of the image, out of which they may reach where it lies in a letterbox;
            fractions for a tensor. Best score first.
        scores: 0..1.
        labels: class indices.
        times: by the device's monotonic clock; None when the image could not be decoded.
        problem: why it could not be decoded; empty when it was.
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
    """Measure the latency.

    Attributes:
        key: chosen by the client at random; a request with the key of the session's job gets that job.
        plan: how long.
    """

    key: Annotated[str, Range(1, 200)]
    plan: BenchmarkPlan


@dataclass(frozen=True)
class ErrorMessage:
    """Why a request was refused.

    Attributes:
        error: one line for a person.
        code: for programs, one of those in apps/PROTOCOL.md.
    """

    error: str
    code: str


@dataclass(frozen=True)
class JobInfo:
    """A benchmark.

    Attributes:
        id: names it in paths.
        status: of the job.
        samples: when it is done; None too where an interpreter's times would say nothing.
        error: when it failed.
    """

    id: str
    status: Literal["running", "done", "failed", "cancelled"]
    samples: BenchmarkSamples | None = None
    error: ErrorMessage | None = None


def to_bytes(message: Any) -> bytes:
    """A message as JSON on one line.

    Raises:
        ValueError: a number of it is NaN or infinite.
    """
    if isinstance(message, FoundLine):
        return _found_line(message)
    # vars() instead of asdict(), which would copy every coordinate of every box
    return json.dumps(vars(message), default=dataclasses.asdict, allow_nan=False, separators=(",", ":")).encode()


def _found_line(line: FoundLine) -> bytes:
    """The same for the message that is sent most often and holds the most numbers."""
    boxes, scores = float32_json(line.boxes), float32_json(line.scores)
    times = json.dumps(vars(line.times) if line.times else None, separators=(",", ":"))
    labels = ",".join(map(str, line.labels))
    return (
        f'{{"index":{line.index},"height":{line.height},"width":{line.width},"boxes":{boxes},"scores":{scores},'
        f'"labels":[{labels}],"times":{times},"problem":{json.dumps(line.problem)}}}'
    ).encode()


def from_bytes(kind: Any, content: bytes) -> Any:
    """The message of a dataclass in JSON.

    Raises:
        ValueError: it is not JSON, or a field is missing, unknown, of another type or out of range.
    """
    return decode(kind, load_json(content))
