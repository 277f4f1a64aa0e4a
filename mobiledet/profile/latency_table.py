"""A device's table of measured latencies: made once by ``mobiledet profile --all``, read by ``mobiledet plan``."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from mobiledet.devices.base import DeviceInfo, Threads
from mobiledet.errors import UserError
from mobiledet.files.atomic import file_name_of
from mobiledet.files.cache import cache_folder
from mobiledet.profile.record import write_json
from mobiledet.records import RECORD_BYTES, Count, Positive, Range, decode
from mobiledet.spec import MIN_SIDE, MOST_CLASSES, MOST_PIXELS_A_SIDE, read_json

KIND = "mobiledet latency table"
SCHEMA_VERSION = 2
Side = Annotated[int, Range(MIN_SIDE, MOST_PIXELS_A_SIDE)]


@dataclass(frozen=True)
class Shape:
    """A network to train, as far as its cost depends on it.

    Attributes:
        backbone, detector: keys of `mobiledet list` and of the table of detectors.
        height, width: of the input in pixels.
        classes: that it tells apart.
    """

    backbone: str
    detector: str
    height: Side
    width: Side
    classes: Annotated[int, Range(1, MOST_CLASSES)]

    def __str__(self) -> str:
        return f"{self.backbone} {self.detector} {self.height} x {self.width}"


@dataclass(frozen=True)
class Timing:
    """One measurement of a file.

    Attributes:
        fast_ms: that a tenth of the timed runs of the file alone are below.
        runs: so many.
    """

    fast_ms: Positive
    runs: Count


@dataclass(frozen=True)
class LatencyRow:
    """One model file on the device.

    Attributes:
        shape: its network.
        precision: of the file.
        bytes: its size.
        timings: apart from each other, one for each round.
    """

    shape: Shape
    precision: str
    bytes: Count
    timings: Annotated[tuple[Timing, ...], Range(1)]

    @property
    def milliseconds(self) -> float:
        """Latency in the fastest round: other programs, heat, and other tenants of a rented machine make a device
        slower for seconds or minutes, never faster."""
        return min(timing.fast_ms for timing in self.timings)


@dataclass(frozen=True)
class LatencyTable:
    """What was measured on one device in one way.

    Attributes:
        device: the device.
        accelerator: that ran the files.
        threads: of the processor.
        created: of the last row, UTC, ISO 8601.
        version: of mobiledet that exported the files.
        rows: measured files.
        left_out: networks that could not be measured, with the reason.
    """

    device: DeviceInfo
    accelerator: str
    threads: Threads
    created: str
    version: str
    rows: tuple[LatencyRow, ...]
    left_out: tuple[str, ...] = ()

    @property
    def precisions(self) -> tuple[str, ...]:
        """Of the rows, in their order."""
        return tuple(dict.fromkeys(row.precision for row in self.rows))


def default_table_path(device: str, threads: int) -> Path:
    """Where the table of a device, as it was addressed, is kept if no other place is named."""
    return cache_folder() / "latencies" / file_name_of(f"{device}-{threads}-threads.json")


def write_table(path: Path, table: LatencyTable) -> None:
    """Write a table, whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    write_json(path, {"kind": KIND, "schema_version": SCHEMA_VERSION, **dataclasses.asdict(table)})


def read_table(path: Path) -> LatencyTable:
    """Read a table.

    Raises:
        UserError: there is none, or it is damaged or of another kind or version.
    """
    values = read_json(path, RECORD_BYTES)
    kind, version = values.pop("kind", None), values.pop("schema_version", None)
    if kind != KIND:
        raise UserError(f"{path} is no table of latencies; `mobiledet profile --all` makes one")
    if version != SCHEMA_VERSION:
        raise UserError(f"{path} is a table of version {version}, this mobiledet reads {SCHEMA_VERSION}; measure again")
    try:
        table: LatencyTable = decode(LatencyTable, values)
    except ValueError as error:
        raise UserError(f"{path} is a damaged table of latencies: {error}") from error
    return table
