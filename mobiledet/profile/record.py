"""The profile of a network, and its JSON file."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mobiledet.complexity import KINDS, LayerCost
from mobiledet.devices.base import DeviceInfo
from mobiledet.files.atomic import atomic_file
from mobiledet.profile.findings import Finding
from mobiledet.profile.runtime import RunTime

SCHEMA_VERSION = 1
COUNTS = ("macs", "parameters", "memory_access")


@dataclass(frozen=True)
class NetworkProfile:
    """Costs, run time and guideline findings of a network.

    Attributes:
        name: backbone and, if there is one, detector.
        input_size: side of the square image in pixels.
        parameters: number of parameters, normalisation included.
        layers: convolutions and fully connected layers, in the order of execution.
        shares: for each of ``COUNTS``, the fraction of each kind of layer.
        findings: one for each guideline.
        run_time: measured time; None if not measured.
        reason: why it was not measured; else empty.
        device: the device of the measurement.
        created: time of creation, UTC, ISO 8601.
    """

    name: str
    input_size: int
    parameters: int
    layers: tuple[LayerCost, ...]
    shares: dict[str, dict[str, float]]
    findings: tuple[Finding, ...]
    run_time: RunTime | None
    reason: str
    device: DeviceInfo | None
    created: str

    @property
    def macs(self) -> int:
        """Multiply-adds for one image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def memory_access(self) -> int:
        """Number of values that the layers read and write for one image."""
        return sum(layer.memory_access for layer in self.layers)

    def to_json(self) -> dict[str, Any]:
        """JSON values, with ``kind``, ``schema_version`` and the sums."""
        return {
            "kind": "mobiledet profile",
            "schema_version": SCHEMA_VERSION,
            "macs": self.macs,
            "memory_access": self.memory_access,
            **asdict(self),
        }


def shares_by_kind(layers: tuple[LayerCost, ...]) -> dict[str, dict[str, float]]:
    """For each of ``COUNTS``, the fractions of the kinds of layers, which add up to 1.

    A layer that runs twice costs twice, but its parameters count once.
    """
    once = {layer.name: layer for layer in layers}.values()
    shares = {}
    for count in COUNTS:
        counted = once if count == "parameters" else layers
        sums = {kind: sum(getattr(layer, count) for layer in counted if layer.kind == kind) for kind in KINDS}
        shares[count] = {kind: part / sum(sums.values()) for kind, part in sums.items()}
    return shares


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file, completely or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")
