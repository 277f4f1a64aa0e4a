"""The latency table of a device: written by ``mobiledet profile --all``, read by ``mobiledet plan``."""

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
from mobiledet.spec import MAX_CLASSES, MAX_SIDE, MIN_SIDE, read_json

KIND = "mobiledet latency table"
SCHEMA_VERSION = 2
Side = Annotated[int, Range(MIN_SIDE, MAX_SIDE)]


@dataclass(frozen=True)
class Shape:
    """A network to train, as far as its cost depends on it.

    Attributes:
        backbone, detector: names from `mobiledet list` and of the table of detectors.
        height, width: input size in pixels.
        classes: number of classes.
    """

    backbone: str
    detector: str
    height: Side
    width: Side
    classes: Annotated[int, Range(1, MAX_CLASSES)]

    def __str__(self) -> str:
        return f"{self.backbone} {self.detector} {self.height} x {self.width}"


@dataclass(frozen=True)
class Timing:
    """One measurement of a file.

    Attributes:
        fast_ms: 10th percentile of the timed runs.
        runs: number of timed runs.
    """

    fast_ms: Positive
    runs: Count


@dataclass(frozen=True)
class LatencyRow:
    """One model file on the device.

    Attributes:
        shape: the network.
        precision: precision of the file.
        bytes: size of the file.
        timings: measurements, one for each round, at different times.
    """

    shape: Shape
    precision: str
    bytes: Count
    timings: Annotated[tuple[Timing, ...], Range(1)]

    @property
    def milliseconds(self) -> float:
        """Latency in the fastest round.

        Other programs, heat, and other users of a shared machine make a device slower for seconds or minutes, but never
        faster.
        """
        return min(timing.fast_ms for timing in self.timings)


@dataclass(frozen=True)
class LatencyTable:
    """The measurements on one device with one accelerator and number of threads.

    Attributes:
        device: the device.
        accelerator: the accelerator that ran the files.
        threads: number of CPU threads.
        created: time of the last row, UTC, ISO 8601.
        version: version of mobiledet that exported the files.
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
        """The precisions of the rows, in their order."""
        return tuple(dict.fromkeys(row.precision for row in self.rows))


def default_table_path(device: str, threads: int) -> Path:
    """The default path of the table of a device, which is given by its address."""
    return cache_folder() / "latencies" / file_name_of(f"{device}-{threads}-threads.json")


def write_table(path: Path, table: LatencyTable) -> None:
    """Write a table, completely or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    write_json(path, {"kind": KIND, "schema_version": SCHEMA_VERSION, **dataclasses.asdict(table)})


def read_table(path: Path) -> LatencyTable:
    """Read a table.

    Raises:
        UserError: the file does not exist, is damaged, or is of another kind or version.
    """
    values = read_json(path, RECORD_BYTES)
    kind, version = values.pop("kind", None), values.pop("schema_version", None)
    if kind != KIND:
        raise UserError(f"{path} is not a latency table; create one with `mobiledet profile --all`")
    if version != SCHEMA_VERSION:
        raise UserError(f"{path} is a table of version {version}, this mobiledet reads {SCHEMA_VERSION}; measure again")
    try:
        table: LatencyTable = decode(LatencyTable, values)
    except ValueError as error:
        raise UserError(f"{path} is a damaged latency table: {error}") from error
    return table
