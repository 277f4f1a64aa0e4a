"""Groups results that may be compared, and finds the best of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from mobiledet.evaluation.result import Result

# times in these runtimes say nothing about an app, so they are drawn in separate charts
RUNTIMES_APART = {"litert-wasm": "in a browser (litert-wasm)"}
COLOURS = MARKS = 6  # number of colours and of markers in a chart


@dataclass(frozen=True)
class Point:
    """A result as a point in the chart of mAP against latency.

    Attributes:
        name: short name of model and precision.
        result: the result.
        ms: p50 of the inference time.
        low_ms, high_ms: confidence interval of ``ms``.
        ap: mAP.
        on_front: whether no other result of the same series is both faster and better.
    """

    name: str
    result: Result
    ms: float
    low_ms: float
    high_ms: float
    ap: float
    on_front: bool


@dataclass(frozen=True)
class Series:
    """Results that were measured in the same way on one device; each series has its own marker.

    Attributes:
        name: device, runtime, accelerator and threads.
        points: points sorted by latency.
    """

    name: str
    points: tuple[Point, ...]

    @property
    def ladders(self) -> list[list[Point]]:
        """For each bundle with several precisions, its points, sorted by latency."""
        by_bundle: dict[str, list[Point]] = {}
        for point in self.points:
            by_bundle.setdefault(point.result.bundle_sha256, []).append(point)
        return [points for points in by_bundle.values() if len({p.result.file.precision for p in points}) > 1]


@dataclass(frozen=True)
class Comparison:
    """Results scored on the same images, by runtimes whose times may be compared.

    Attributes:
        dataset: name of the data set.
        images: number of images.
        series: series sorted by name.
        apart: how the runtime differs from native ones; empty for native runtimes.
    """

    dataset: str
    images: int
    series: tuple[Series, ...]
    apart: str = ""

    @property
    def title(self) -> str:
        """Title of the chart."""
        return f"{self.dataset}, {self.images} images" + (f", {self.apart}" if self.apart else "")

    @property
    def points(self) -> list[Point]:
        """The points of all series, one series after the other."""
        return [point for series in self.series for point in series.points]


def compare(results: Sequence[Result]) -> list[Comparison]:
    """Group results with accuracy and latency into comparisons: each has one list of images and one kind of runtime.

    Results with tiles are left out: their mAP comes from many runs, but the latency is that of one run.
    """
    names = dict(zip(map(id, results), short_names(results), strict=True))
    by_images: dict[tuple[str, str, str], list[Result]] = {}
    for result in results:
        if result.latency and result.accuracy and result.accuracy.metrics.AP >= 0 and not result.accuracy.tiles:
            key = result.accuracy.dataset, runtime_apart(result), result.accuracy.images_sha256
            by_images.setdefault(key, []).append(result)
    comparisons = []
    for (dataset, apart, _), members in sorted(by_images.items()):
        by_series: dict[str, list[Result]] = {}
        for result in members:
            by_series.setdefault(series_name(result), []).append(result)
        series = [Series(name, _points(by_series[name], names)) for name in sorted(by_series)]
        images = next(result.accuracy.metrics.images for result in members if result.accuracy)
        comparisons.append(Comparison(dataset, images, tuple(series), apart))
    return comparisons


def runtime_apart(result: Result) -> str:
    """Why the times of a result cannot be compared with those of native runtimes; empty if they can."""
    return RUNTIMES_APART.get(result.device.runtime, "")


def style(index: int) -> tuple[int, int]:
    """Indices of the colour and the marker of a series; the pairs differ for the first 36 series."""
    return index % COLOURS, (index + index // COLOURS) % MARKS


def series_name(result: Result) -> str:
    """Where and how a result was measured; latencies of different series cannot be compared directly."""
    execution, device = result.execution, result.device
    threads = f"{execution.threads} thread" + ("s" if execution.threads != 1 else "")
    pace = f", {result.latency.plan.fps:g} images/s" if result.latency and result.latency.plan.fps else ""
    return f"{device.name}: {device.cpu}, {device.runtime} {execution.actual}, {threads}{pace}"


def full_name(result: Result) -> str:
    """Model and precision."""
    return f"{result.spec.name} {result.file.precision}"


def short_names(results: Sequence[Result]) -> list[str]:
    """Names without the words that all results share, such as ``0.5x float16``, in the order of the results."""
    words = [[*result.spec.name.split("-"), result.file.precision] for result in results]
    if len({len(w) for w in words}) != 1:
        return [full_name(result) for result in results]
    distinguishing = [i for i in range(len(words[0])) if len({w[i] for w in words}) > 1]
    return [" ".join(w[i] for i in distinguishing) or full_name(r) for w, r in zip(words, results, strict=True)]


def _points(results: Sequence[Result], names: dict[int, str]) -> tuple[Point, ...]:
    measured = []
    for result in results:
        assert result.accuracy
        assert result.latency
        measured.append((result.latency.infer, result.accuracy.metrics.AP, result))
    return tuple(
        Point(
            name=names[id(result)],
            result=result,
            ms=infer.p50_ms,
            low_ms=infer.p50_low_ms,
            high_ms=infer.p50_high_ms,
            ap=ap,
            on_front=not any(
                other.p50_ms <= infer.p50_ms and other_ap >= ap and (other.p50_ms, other_ap) != (infer.p50_ms, ap)
                for other, other_ap, _ in measured
            ),
        )
        for infer, ap, result in sorted(measured, key=lambda m: (m[0].p50_ms, -m[1]))
    )
