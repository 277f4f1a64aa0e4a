"""Measurements of a bundle's files after the export."""

from dataclasses import dataclass

from mobiledet.metrics.coco import CocoMetrics


@dataclass(frozen=True)
class Scored:
    """The accuracy of a file.

    Attributes:
        dataset: name of the images.
        metrics: COCO's numbers, which count the images.
        how: tiles or another mode; empty for the default.
    """

    dataset: str
    metrics: CocoMetrics
    how: str = ""


@dataclass(frozen=True)
class Timed:
    """The latency of a file, after the warm-up.

    Attributes:
        p50_ms, p90_ms: percentiles; p50_low_ms, p50_high_ms: 95 % interval of the first.
        runs: number of timed runs.
        load_ms: time to load the file in a fresh process.
        memory_bytes: growth of a process; None if the device does not report it.
        remarks: disturbances of the measurement.
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
    """The measurements of one file on one device.

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
