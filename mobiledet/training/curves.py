"""Training curves: loss, learning rate and speed between evaluations, stored as JSON lines."""

import dataclasses
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mobiledet.records import decode, load_json

MAX_POINTS = 240  # of a drawn line; more would be less than two pixels apart


@dataclass(frozen=True)
class CurvePoint:
    """One point of the training curves.

    Attributes:
        step: number of steps since the run began.
        epoch: number of epochs since the run began, including the fraction of the current one.
        epoch_steps: number of steps in the current epoch.
        lr: learning rate.
        images_per_s: mean training speed since the epoch began or was resumed.
        losses: mean of each loss since the epoch began.
    """

    step: int
    epoch: float
    epoch_steps: int
    lr: float
    images_per_s: float
    losses: dict[str, float]


def append_point(path: Path, point: CurvePoint) -> None:
    """Append a point to a file of JSON lines."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(dataclasses.asdict(point)) + "\n")


def read_points(path: Path) -> list[CurvePoint]:
    """Read the points in their order.

    A run that was killed and resumed repeats some steps. The later point of a repeated step counts, and the points that
    the earlier process wrote after it are dropped.
    """
    points: list[CurvePoint] = []
    for record in read_lines(path):
        try:
            point: CurvePoint = decode(CurvePoint, record)
        except ValueError:
            continue
        while points and points[-1].step >= point.step:
            points.pop()
        points.append(point)
    return points


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects in a file of JSON lines. Lines that are not valid JSON, such as one that a killed process left
    unfinished, are skipped; a missing file gives no objects."""
    records = []
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            record = load_json(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def with_interval_losses(points: Sequence[CurvePoint]) -> list[CurvePoint]:
    """Replace each point's mean losses since the epoch began by the mean losses since the previous point, which show
    changes within an epoch."""
    changed = list(points[:1])
    for before, point in itertools.pairwise(points):
        steps = point.epoch_steps - before.epoch_steps
        same_epoch = point.step - before.step == steps and before.losses.keys() == point.losses.keys()
        if same_epoch:
            sums = {k: v * point.epoch_steps - before.losses[k] * before.epoch_steps for k, v in point.losses.items()}
            point = dataclasses.replace(point, losses={name: total / steps for name, total in sums.items()})
        changed.append(point)
    return changed


def downsampled(points: np.ndarray) -> np.ndarray:
    """Reduce N x 2 points to at most ``MAX_POINTS``, each the mean of a group of neighbours."""
    group = -(-len(points) // MAX_POINTS)
    if group <= 1:
        return points
    starts = np.arange(0, len(points), group)
    counts = np.diff(np.append(starts, len(points)))
    return np.asarray(np.add.reduceat(points, starts, axis=0) / counts[:, None])
