"""Checks the answers of an agent: impossible values are errors, never results."""

from collections.abc import Sequence

import numpy as np

from mobiledet.detections import Detections
from mobiledet.devices.agent.messages import ErrorMessage, FoundLine, load_json
from mobiledet.devices.base import BenchmarkPlan, BenchmarkSamples, StageTimes
from mobiledet.errors import UserError
from mobiledet.records import Count, decode

# tolerance by which a duration on the device's clock may exceed that on this machine's clock: factor and constant
CLOCK_SHARE, CLOCK_NS = 1.05, 50_000_000
EARLY = 0.05  # fraction of the interval between images by which a coarse clock may report a start too early


def read_lines(content: bytes, count: int, seconds: float, class_count: int) -> list[FoundLine]:
    """Read the lines of a reply.

    Args:
        content: body of the reply, one JSON object a line.
        count: number of images that were sent.
        seconds: duration of the request by this machine's clock; the device cannot have computed for longer.
        class_count: number of classes of the model.

    Raises:
        UserError: a line is missing, malformed or impossible, or reports an error of the agent.
    """
    try:
        values = [load_json(line) for line in content.splitlines()]
        for value in values:
            if isinstance(value, dict) and "error" in value:
                error: ErrorMessage = decode(ErrorMessage, value)
                raise UserError(f"the agent stopped: {error.error}")
        lines = [_line(value) for value in values]
    except (ValueError, TypeError) as error:
        raise UserError(f"the agent sent a malformed line: {error}") from error
    if [line.index for line in lines] != list(range(count)):
        raise UserError(f"the agent answered {len(lines)} lines, not one for each of {count} images in their order")
    for line in lines:
        _check(line, class_count)
    _check_clock([ns for line in lines if line.times for ns in vars(line.times).values()], seconds)
    return lines


def to_detections(line: FoundLine, class_count: int | None = None) -> Detections:
    """The detections in a line, with its boxes unchanged; raises as ``Detections.from_json`` does."""
    return Detections.from_json(line.boxes, line.scores, line.labels, class_count)


def check_benchmark(samples: BenchmarkSamples, plan: BenchmarkPlan, seconds: float) -> None:
    """Check that the samples of a benchmark are possible.

    Args:
        samples: the samples from the agent.
        plan: the requested plan.
        seconds: duration of the benchmark by this machine's clock.

    Raises:
        UserError: samples are missing, times are not from a monotonic clock, runs overlap or start before they are due,
            or the app left the foreground.
    """
    for name, taken, wanted in (
        ("samples", len(samples.infer_ns), plan.runs),
        ("warm-up runs", len(samples.warmup_ns), plan.warmup_runs),
        ("cold starts", len(samples.cold_starts), 1),
        ("states", len(samples.states), 2),
    ):
        if taken < wanted:
            raise UserError(f"the agent took {taken} {name} of {wanted}; its benchmark is worthless")
    if len(samples.started_ns) != len(samples.infer_ns) or len(samples.state_ns) != len(samples.states):
        raise UserError("the agent does not report the time of each run and state")
    if any(state.foreground is False for state in samples.states):
        raise UserError("the app was not in the foreground while it was measured; keep it there and measure again")
    cold = [ns for start in samples.cold_starts for ns in (start.load_ns, start.first_infer_ns)]
    _check_clock([*samples.warmup_ns, *samples.infer_ns, *cold], seconds)
    _check_starts(samples, plan, seconds)


def _line(value: dict[str, object]) -> FoundLine:
    times = decode(StageTimes | None, value.pop("times"), "times") if "times" in value else None
    line = FoundLine(**value, times=times)  # type: ignore[arg-type]
    for name in ("index", "height", "width"):
        decode(Count, getattr(line, name), name)
    decode(str, line.problem, "problem")
    return line


def _check(line: FoundLine, class_count: int) -> None:
    """Check that the numbers in a line are possible for a detector."""
    try:
        to_detections(line, class_count)
    except ValueError as error:
        raise UserError(f"the agent's line {line.index} contains impossible detections: {error}") from error
    if (line.times is None) == (not line.problem):
        raise UserError(f"the agent's line {line.index} has both times and a problem, or neither")
    if not line.problem and not (line.height and line.width):
        raise UserError(f"the agent's line {line.index} lacks the height and width of the image")


def _check_starts(samples: BenchmarkSamples, plan: BenchmarkPlan, seconds: float) -> None:
    started, infer = np.array(samples.started_ns), np.array(samples.infer_ns)
    ended = started + infer
    if started[0] < 0 or (started[1:] < ended[:-1]).any():
        raise UserError("the agent's runs overlap; it must run one after the other, by a monotonic clock")
    if ended[-1] > CLOCK_SHARE * seconds * 1e9 + CLOCK_NS or ended[-1] < plan.seconds * 1e9 - _interval_ns(plan, infer):
        raise UserError(
            f"the agent's runs took {ended[-1] / 1e9:.3f} s, {plan.seconds:g} s were requested and {seconds:.3f} s "
            "passed here"
        )
    if plan.fps and (np.diff(np.floor(started * plan.fps / 1e9 + EARLY)) < 1).any():
        raise UserError(f"the agent ran more than once on one image of {plan.fps:g} a second")


def _interval_ns(plan: BenchmarkPlan, infer: np.ndarray) -> float:
    """How long before the planned time the last run may end: agents stop when the time is up."""
    return max(float(infer.max()), 1e9 / plan.fps if plan.fps else 0.0) + CLOCK_NS


def _check_clock(spans_ns: Sequence[int], seconds: float) -> None:
    if min(spans_ns, default=0) < 0:
        raise UserError(f"the device's clock went back: something took {min(spans_ns)} ns; it must be monotonic")
    if sum(spans_ns) > CLOCK_SHARE * seconds * 1e9 + CLOCK_NS:
        raise UserError(
            f"the device says that it computed for {sum(spans_ns) / 1e9:.3f} s of {seconds:.3f} s here; "
            "its times must be nanoseconds of a monotonic clock"
        )
