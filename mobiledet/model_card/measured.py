"""What was measured of a bundle's files after their export."""

from dataclasses import dataclass

from mobiledet.metrics.coco import CocoMetrics


@dataclass(frozen=True)
class Scored:
    """A score.

    Attributes:
        dataset: name of the images.
        metrics: COCO's numbers, which count the images.
        how: tiles or another mode; empty for the ordinary one.
    """

    dataset: str
    metrics: CocoMetrics
    how: str = ""


@dataclass(frozen=True)
class Timed:
    """Latency of one run of the file, after the warm-up.

    Attributes:
        p50_ms, p90_ms: percentiles; p50_low_ms, p50_high_ms: 95 % interval of the first.
        runs: timed.
        load_ms: to load the file, cold.
        memory_bytes: that a process grows by; None where the device does not tell.
        remarks: what disturbed it.
    """

    p50_ms: float
    p50_low_ms: float
    p50_high_ms: float
    p90_ms: float
    runs: int
    load_ms: float
    memory_bytes: float | None
    remarks: str = ""


@dataclass(frozen=True)
class Measured:
    """One file on one device.

    Attributes:
        file: path in the bundle.
        where: device, processor, runtime, accelerator and threads.
        created: day, YYYY-MM-DD.
        scored: None where it was not.
        timed: None where it was not.
    """

    file: str
    where: str
    created: str
    scored: Scored | None
    timed: Timed | None
