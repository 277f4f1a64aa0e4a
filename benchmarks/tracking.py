"""Compares ``mobiledet.tracking`` with supervision's ByteTrack, on simulated crowds with known identities.

python benchmarks/tracking.py            (needs supervision 0.25 and scipy)

Boxes of people move through an image of 1280 x 720 pixels, turn, occlude each other and come back; a simulated detector
has missed detections, low scores for occluded people, and false detections. The output has, for each tracker and as the
mean over the crowds: id switches (the id of a person changes), the number of ids for each person, IDF1 (Ristani and
others, Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking, arXiv 1609.01775), the fraction of
detections with an id, and milliseconds per frame. ``greedy`` is our tracker, ``exact`` the same with the assignment of
maximum total IoU.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from unittest import mock

import numpy as np
from scipy.optimize import linear_sum_assignment

from mobiledet.detections import Detections
from mobiledet.matching import pairwise_iou
from mobiledet.tracking import tracker as ours

WIDTH, HEIGHT = 1280, 720
Frame = tuple[Detections, np.ndarray]  # and whose each detection is; -1 of nobody
Update = Callable[[Detections], tuple[np.ndarray, np.ndarray]]  # ids, and the places of their detections


def crowd(seed: int, people: int, frames: int) -> list[Frame]:
    """Simulated detections of walking people."""
    random = np.random.default_rng(seed)
    tall = random.uniform(80, 200, people)
    size = np.column_stack([0.4 * tall, tall])
    foot = random.uniform([0, 200], [WIDTH, HEIGHT], (people, 2))
    walk = random.normal(0, 4, (people, 2)) * [1, 0.3]
    made = []
    for _ in range(frames):
        walk = np.where(random.random((people, 1)) < 0.01, random.normal(0, 4, (people, 2)) * [1, 0.3], walk)
        foot = foot + walk + random.normal(0, 0.5, (people, 2))
        walk = np.where((foot < 0) | (foot > [WIDTH, HEIGHT]), -walk, walk)
        boxes = np.concatenate([foot - size * [0.5, 1], foot + size * [0.5, 0]], axis=1)
        hidden = np.zeros(people)
        order = np.argsort(foot[:, 1])  # who stands lower stands in front
        for place, person in enumerate(order):
            for other in order[place + 1 :]:
                overlap = np.minimum(boxes[person, 2:], boxes[other, 2:]) - np.maximum(
                    boxes[person, :2], boxes[other, :2]
                )
                hidden[person] += overlap.clip(0).prod() / size[person].prod()
        scores = np.clip(0.9 - hidden + random.normal(0, 0.05, people), 0.02, 0.99)
        seen = (random.random(people) > 0.03) & (hidden < 0.85)
        jitter = random.normal(0, 0.02, (people, 4)) * size[:, [0, 1, 0, 1]]
        rows = np.flatnonzero(seen)
        invented = random.uniform([0, 0], [WIDTH - 100, HEIGHT - 150], (random.poisson(0.3), 2))
        boxes = np.concatenate([(boxes + jitter)[rows], np.column_stack([invented, invented + np.array([60, 140])])])
        scores = np.concatenate([scores[rows], random.uniform(0.3, 0.7, len(invented))])
        owners = np.concatenate([rows, np.full(len(invented), -1)])
        best = np.argsort(-scores)
        found = Detections(
            boxes[best].astype(np.float32), scores[best].astype(np.float32), np.zeros(len(best), np.int64)
        )
        made.append((found, owners[best]))
    return made


def ours_update() -> Update:
    tracker = ours.Tracker(0.5)

    def update(found: Detections) -> tuple[np.ndarray, np.ndarray]:
        tracked = tracker.update(found)
        return tracked.ids, tracked.sources

    return update


def theirs_update() -> Update:
    import supervision

    tracker = supervision.ByteTrack(track_activation_threshold=0.5, lost_track_buffer=30, frame_rate=30)

    def update(found: Detections) -> tuple[np.ndarray, np.ndarray]:
        given = supervision.Detections(
            xyxy=found.boxes_xyxy,
            confidence=found.scores,
            class_id=found.labels,
            data={"place": np.arange(len(found))},
        )
        tracked = tracker.update_with_detections(given)
        return np.asarray(tracked.tracker_id, np.int64), np.asarray(tracked.data.get("place", []), np.int64)

    return update


class Exact:
    """Replaces two steps of our tracker: the overlaps, and the assignment with the largest total overlap."""

    def pairwise_iou(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        self.iou = pairwise_iou(a, b)
        return self.iou

    def pair_off(self, rows: np.ndarray, columns: np.ndarray) -> list[tuple[int, int]]:
        worth = np.zeros_like(self.iou)
        worth[rows, columns] = self.iou[rows, columns]
        pairs = np.column_stack(linear_sum_assignment(-worth)).tolist()
        return [(row, column) for row, column in pairs if worth[row, column] > 0]


def measure(update: Update, frames: list[Frame], people: int) -> dict[str, float]:
    """Metrics of the ids."""
    switches = given = sure = 0
    last: dict[int, int] = {}
    pairs: dict[tuple[int, int], int] = {}
    told, spent = 0, 0.0
    for found, owners in frames:
        began = time.perf_counter()
        ids, sources = update(found)
        spent += time.perf_counter() - began
        told += len(ids)
        sure += int(((owners >= 0) & (found.scores >= 0.1)).sum())
        for track, owner in zip(ids.tolist(), owners[sources].tolist(), strict=True):
            if owner < 0:
                continue
            given += 1
            switches += last.get(owner, track) != track
            last[owner] = track
            pairs[track, owner] = pairs.get((track, owner), 0) + 1
    tracks = sorted({track for track, _ in pairs})
    table = np.zeros((len(tracks), people))
    for (track, owner), count in pairs.items():
        table[tracks.index(track), owner] = count
    right = table[linear_sum_assignment(-table)].sum()
    return {
        "switches": switches,
        "ids a person": len(tracks) / people,
        "IDF1": 2 * right / (told + sure),
        "with an id": given / sure,
        "ms a frame": 1000 * spent / len(frames),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crowds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--people", type=int, nargs="+", default=[8, 20, 40])
    settings = parser.parse_args()
    warnings.simplefilter("ignore")  # supervision's, of what is deprecated in it
    print("people tracker       switches  ids a person   IDF1  with an id  ms a frame")
    for people in settings.people:
        crowds = [crowd(seed, people, settings.frames) for seed in range(settings.crowds)]
        for name, begin in (("greedy", ours_update), ("exact", ours_update), ("supervision", theirs_update)):
            steps = Exact()
            exact = mock.patch.multiple(ours, pairwise_iou=steps.pairwise_iou, pair_off=steps.pair_off)
            with exact if name == "exact" else nullcontext():
                rows = [measure(begin(), frames, people) for frames in crowds]
            mean = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
            print(
                f"{people:6} {name:12} {mean['switches']:9.1f} {mean['ids a person']:13.2f} {mean['IDF1']:6.3f}"
                f" {mean['with an id']:11.3f} {mean['ms a frame']:11.2f}"
            )


if __name__ == "__main__":
    main()
