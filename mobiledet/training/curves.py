"""The course of a run: loss, learning rate and speed between evaluations, one line of JSON for each note."""

import dataclasses
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mobiledet.records import decode, load_json

MOST_POINTS = 240  # of a drawn line; more would lie closer than two pixels


@dataclass(frozen=True)
class CurvePoint:
    """A note of the run.

    Attributes:
        step: steps done since the run began.
        epoch: epochs done, with the part of the one that is on.
        epoch_steps: steps done in that one.
        lr: learning rate.
        images_per_s: since the epoch began, or was resumed.
        losses: mean of each since the epoch began.
    """

    step: int
    epoch: float
    epoch_steps: int
    lr: float
    images_per_s: float
    losses: dict[str, float]


def append_point(path: Path, point: CurvePoint) -> None:
    """Add a line to the file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(dataclasses.asdict(point)) + "\n")


def read_points(path: Path) -> list[CurvePoint]:
    """The notes in their order.

    A run that was killed and resumed did some steps again: the later note of a step counts, and those that the earlier
    run had made after it are left out.
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
    """The objects of a file of JSON lines, without one that a killed process left unfinished; none if it is missing."""
    records = []
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        try:
            record = load_json(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def between_notes(points: Sequence[CurvePoint]) -> list[CurvePoint]:
    """The same with the mean losses since the note before, which show what the mean of an epoch hides."""
    changed = list(points[:1])
    for before, point in itertools.pairwise(points):
        steps = point.epoch_steps - before.epoch_steps
        same_epoch = point.step - before.step == steps and before.losses.keys() == point.losses.keys()
        if same_epoch:
            sums = {k: v * point.epoch_steps - before.losses[k] * before.epoch_steps for k, v in point.losses.items()}
            point = dataclasses.replace(point, losses={name: total / steps for name, total in sums.items()})
        changed.append(point)
    return changed


def thinned(points: np.ndarray) -> np.ndarray:
    """N x 2 points as at most ``MOST_POINTS``, each the mean of as many neighbours."""
    group = -(-len(points) // MOST_POINTS)
    if group <= 1:
        return points
    starts = np.arange(0, len(points), group)
    counts = np.diff(np.append(starts, len(points)))
    return np.asarray(np.add.reduceat(points, starts, axis=0) / counts[:, None])
