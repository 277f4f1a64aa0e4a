"""Which results may be compared, and which of them are best."""

from collections.abc import Sequence
from dataclasses import dataclass

from mobiledet.evaluation.result import Result

# what these runtimes take says nothing of an app: they get charts of their own
RUNTIMES_APART = {"litert-wasm": "in a browser (litert-wasm)"}
COLOURS = MARKS = 6  # of a chart


@dataclass(frozen=True)
class Point:
    """A result on the plane of latency and mAP.

    Attributes:
        name: short, of the model and precision.
        result: all that was measured.
        ms: p50 of the inference; low_ms, high_ms: its interval.
        ap: mAP.
        on_front: no other result of the same series is both faster and better.
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
    """Results measured in one way on one device; each series has a mark of its own.

    Attributes:
        name: device, runtime, accelerator and threads.
        points: by latency.
    """

    name: str
    points: tuple[Point, ...]

    @property
    def ladders(self) -> list[list[Point]]:
        """Points of one bundle, which differ in precision alone; by latency, at least two."""
        by_bundle: dict[str, list[Point]] = {}
        for point in self.points:
            by_bundle.setdefault(point.result.bundle_sha256, []).append(point)
        return [points for points in by_bundle.values() if len({p.result.file.precision for p in points}) > 1]


@dataclass(frozen=True)
class Comparison:
    """Results scored on the same images, by runtimes whose times may be compared.

    Attributes:
        dataset: name of the data set.
        images: how many.
        series: by name.
        apart: what sets the runtime apart from native ones; empty for those.
    """

    dataset: str
    images: int
    series: tuple[Series, ...]
    apart: str = ""

    @property
    def title(self) -> str:
        """Of a chart."""
        return f"{self.dataset}, {self.images} images" + (f", {self.apart}" if self.apart else "")

    @property
    def points(self) -> list[Point]:
        """Those of all series, one series after the other."""
        return [point for series in self.series for point in series.points]


def compare(results: Sequence[Result]) -> list[Comparison]:
    """Sort results with accuracy and latency into comparisons: each of one list of images, and alike in runtime.

    Those of slices are left out: their mAP comes from many runs, the latency is that of one.
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
    """Why the times of a result may not stand beside those of native runtimes; empty when they may."""
    return RUNTIMES_APART.get(result.device.runtime, "")


def style(index: int) -> tuple[int, int]:
    """Colour and mark of a series, each counted from 0: together different for the first 36."""
    return index % COLOURS, (index + index // COLOURS) % MARKS


def series_name(result: Result) -> str:
    """Where and how a result was measured; latencies under different names are not of the same kind."""
    execution, device = result.execution, result.device
    threads = f"{execution.threads} thread" + ("s" if execution.threads != 1 else "")
    pace = f", {result.latency.plan.fps:g} images/s" if result.latency and result.latency.plan.fps else ""
    return f"{device.name}: {device.cpu}, {device.runtime} {execution.actual}, {threads}{pace}"


def full_name(result: Result) -> str:
    """Model and precision."""
    return f"{result.spec.name} {result.file.precision}"


def short_names(results: Sequence[Result]) -> list[str]:
    """Names without the words that all results share, in their order: ``0.5x float16`` says enough among siblings."""
    words = [[*result.spec.name.split("-"), result.file.precision] for result in results]
    if len({len(w) for w in words}) != 1:
        return [full_name(result) for result in results]
    telling = [i for i in range(len(words[0])) if len({w[i] for w in words}) > 1]
    return [" ".join(w[i] for i in telling) or full_name(r) for w, r in zip(words, results, strict=True)]


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
