"""Connects the detections of successive frames to tracks with persistent ids.

Zhang, Sun, Jiang and others: ByteTrack: Multi-Object Tracking by Associating Every Detection Box, arXiv 2110.06864,
algorithm 1. Confident detections are first assigned to active and lost tracks; then weak detections are assigned to
tracks that were seen in the last frame and have no confident detection. So a partly hidden object keeps its id, and no
track starts with a weak detection.

Deviations, so that four languages compute the same ids and bits, and counting by class is correct:

- Pairs are assigned greedily, highest IoU first; among equal ones the older track comes first, then the earlier
  detection. An optimal assignment needs ten times the code, and breaks ties by its internal order; on generated crowds
  both switch ids equally often (``benchmarks/tracking.py``).
- A track has one class, and only detections of that class are assigned to it, unless ``any_class`` is set.
- The filter uses width and height (see ``motion``), not aspect ratio and height. IoU is not multiplied by the score.
- A lost track and a new one at the same place are both kept: the lost one had priority.
- An id is assigned when a track is reported for the first time: ids are 1, 2, 3, ... without gaps.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mobiledet.detections import Detections
from mobiledet.errors import UserError
from mobiledet.matching import pair_off, pairwise_iou
from mobiledet.tracking.motion import Motion


@dataclass(frozen=True)
class TrackerSettings:
    """Settings of the tracker.

    Attributes:
        weak: lowest score of a detection that can continue a track, 0..1.
        match_iou: least IoU between a track's predicted box and a confident detection, above 0.
        weak_iou: least IoU for a weak detection.
        confirm_iou: least IoU for a track that has not been reported yet.
        confirm: number of consecutive frames in which an object is detected before it is reported; objects of the first
            frame are reported at once.
        keep_lost: number of frames for which a track without detections is kept.
        smoothing: weight of the previous box in the reported box, from 0 (the box of the detection) to below 1.
        any_class: whether a detection of another class may continue a track, which then gets that class.
    """

    weak: float = 0.1
    match_iou: float = 0.2
    weak_iou: float = 0.5
    confirm_iou: float = 0.3
    confirm: int = 2
    keep_lost: int = 30
    smoothing: float = 0.0
    any_class: bool = False

    def __post_init__(self) -> None:
        for name, value, sound, bounds in (
            ("weak", self.weak, 0 <= self.weak <= 1, "in 0..1"),
            ("match_iou", self.match_iou, 0 < self.match_iou <= 1, "above 0 and at most 1"),
            ("weak_iou", self.weak_iou, 0 < self.weak_iou <= 1, "above 0 and at most 1"),
            ("confirm_iou", self.confirm_iou, 0 < self.confirm_iou <= 1, "above 0 and at most 1"),
            ("confirm", self.confirm, self.confirm >= 1, "at least 1"),
            ("keep_lost", self.keep_lost, self.keep_lost >= 0, "at least 0"),
            ("smoothing", self.smoothing, 0 <= self.smoothing < 1, "at least 0 and below 1"),
        ):
            if not sound:
                raise UserError(f"{name} {value} is not {bounds}")


@dataclass(frozen=True, eq=False)
class Tracked:
    """The N tracked objects of a frame, in the order of its detections.

    Attributes:
        ids: N int64, track ids from 1.
        objects: the objects: boxes (smoothed if requested) with the scores and labels of their detections, weak ones
            included.
        sources: N int64, indices of the objects in the frame's detections.
        ended: ids of the tracks that ended with this frame; they are not used again.
        left_out: number of detections that cannot be tracked, because their box has no area or is not finite.
    """

    ids: NDArray[np.int64]
    objects: Detections
    sources: NDArray[np.int64]
    ended: tuple[int, ...]
    left_out: int

    def __len__(self) -> int:
        return len(self.ids)


class Tracker:
    """Tracks the objects of one camera or video; ``update`` must be called once for every frame, in order.

    Args:
        confident: score from which on a detection is confident; one value for all classes, or one for each.
        settings: other settings.

    Raises:
        UserError: ``confident`` is not in 0..1.
    """

    def __init__(
        self, confident: float | NDArray[np.float64] = 0.3, settings: TrackerSettings = TrackerSettings()
    ) -> None:
        if not ((np.asarray(confident) >= 0) & (np.asarray(confident) <= 1)).all():
            raise UserError(f"confident {confident} is not in 0..1")
        self.confident = confident
        self.settings = settings
        self._begun = False
        self._last_id = 0
        nothing = np.zeros((0, 4))
        self._motion = Motion.start(nothing)
        self._shown = nothing  # smoothed boxes, moved with the predicted motion
        # for each track, oldest first; the id is 0 until the track is reported
        self._ids, self._labels, self._seen, self._missed = (np.zeros(0, np.int64) for _ in range(4))

    def update(self, found: Detections) -> Tracked:
        """Process the next frame.

        Args:
            found: all detections of the frame, weak ones included.
        """
        boxes = found.boxes_xyxy.astype(np.float64)
        sound = np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        boxes[~sound] = 0
        least = self.confident[found.labels] if isinstance(self.confident, np.ndarray) else self.confident
        confident = sound & (found.scores.astype(np.float64) >= least)
        weak = sound & ~confident & (found.scores.astype(np.float64) >= self.settings.weak)
        self._predict()
        sources = self._associate(boxes, found.labels, confident, weak)
        rows = np.flatnonzero(sources >= 0)
        self._correct(rows, boxes[sources[rows]], found.labels[sources[rows]])
        is_new = confident.copy()
        is_new[sources[rows]] = False
        ended = self._end(sources)
        sources = np.concatenate([sources[ended.kept], np.flatnonzero(is_new)])
        self._start(boxes[is_new], found.labels[is_new])
        return self._report(found, sources, ended.ids, int(np.count_nonzero(~sound)))

    def _predict(self) -> None:
        before = self._motion.boxes_xyxy
        self._motion.predict(self._missed > 0)
        self._shown = self._shown + (self._motion.boxes_xyxy - before)

    def _associate(
        self, boxes: NDArray[np.float64], labels: NDArray[np.int64], confident: np.ndarray, weak: np.ndarray
    ) -> NDArray[np.int64]:
        """For each track the index of its detection, or -1."""
        settings = self.settings
        iou = pairwise_iou(self._motion.boxes_xyxy, boxes)
        if not settings.any_class:
            iou[self._labels[:, None] != labels[None]] = 0
        sources = np.full(len(self._ids), -1, np.int64)
        reported = self._ids > 0
        for tracks, candidates, least in (
            (reported, confident, settings.match_iou),
            (reported & (self._missed == 0), weak, settings.weak_iou),
            (~reported, confident, settings.confirm_iou),
        ):
            free = candidates.copy()
            free[sources[sources >= 0]] = False
            rows, columns = np.nonzero((iou >= least) & (tracks & (sources < 0))[:, None] & free[None])
            order = np.lexsort((columns, rows, -iou[rows, columns]))
            for row, column in pair_off(rows[order], columns[order]):
                sources[row] = column
        return sources

    def _correct(self, rows: NDArray[np.int64], boxes: NDArray[np.float64], labels: NDArray[np.int64]) -> None:
        self._motion.correct(rows, boxes)
        self._shown[rows] = boxes + self.settings.smoothing * (self._shown[rows] - boxes)
        self._labels[rows] = labels
        self._seen[rows] += 1
        self._missed += 1
        self._missed[rows] = 0

    def _end(self, sources: NDArray[np.int64]) -> "_Ended":
        """Remove tracks that were lost for too long, and unreported tracks without a detection in this frame."""
        kept = np.where(self._ids > 0, self._missed <= self.settings.keep_lost, sources >= 0)
        ids = self._ids[~kept & (self._ids > 0)]
        self._motion, self._shown = self._motion.select(kept), self._shown[kept]
        self._ids, self._labels = self._ids[kept], self._labels[kept]
        self._seen, self._missed = self._seen[kept], self._missed[kept]
        return _Ended(kept, tuple(ids.tolist()))

    def _start(self, boxes: NDArray[np.float64], labels: NDArray[np.int64]) -> None:
        """Append new tracks, and assign ids to those that are reported from now on."""
        count = len(boxes)
        self._motion, self._shown = self._motion.concatenate(Motion.start(boxes)), np.concatenate([self._shown, boxes])
        self._labels = np.concatenate([self._labels, labels])
        self._seen = np.concatenate([self._seen, np.ones(count, np.int64)])
        self._missed = np.concatenate([self._missed, np.zeros(count, np.int64)])
        self._ids = np.concatenate([self._ids, np.zeros(count, np.int64)])
        reported = (self._ids == 0) & ((self._seen >= self.settings.confirm) | (not self._begun))
        self._ids[reported] = self._last_id + 1 + np.arange(np.count_nonzero(reported))
        self._last_id += int(np.count_nonzero(reported))
        self._begun = True

    def _report(self, found: Detections, sources: NDArray[np.int64], ended: tuple[int, ...], left_out: int) -> Tracked:
        rows = np.flatnonzero((self._ids > 0) & (sources >= 0))
        rows = rows[np.argsort(sources[rows])]
        seen = sources[rows]
        objects = Detections(self._shown[rows].astype(np.float32), found.scores[seen], found.labels[seen])
        return Tracked(self._ids[rows], objects, seen, ended, left_out)


@dataclass(frozen=True)
class _Ended:
    """Which tracks are kept, and the ids of those that ended."""

    kept: NDArray[np.bool_]
    ids: tuple[int, ...]
