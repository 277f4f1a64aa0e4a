"""Detections of one frame after the other as tracks with ids that stay.

Zhang, Sun, Jiang and others: ByteTrack: Multi-Object Tracking by Associating Every Detection Box, arXiv 2110.06864,
algorithm 1. Confident detections are given to the tracks first, known and lost ones alike; weak ones then go to tracks
that were seen in the last frame and found no confident one: an object that is half hidden keeps its id, and nothing
begins with a weak detection.

Deviations, so that four languages give the same ids to the last bit, and counting by class is right:

- Pairs are taken greedily, highest IoU first. Of equal ones the older track comes first, then the detection that came
  first. An exact assignment is ten times the code, and its ties are settled by its inner order; on generated crowds
  the one switches ids as often as the other (``benchmarks/tracking.py``).
- A track is of one class, and only detections of that class are given to it, unless ``any_class``.
- The filter measures width and height (see ``motion``), not aspect and height. IoU is not multiplied with the score.
- A lost track and a new one on the same place are both kept: the lost one had the first choice.
- An id is given when the track is told for the first time: ids are 1, 2, 3, ... without gaps.
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
    """How objects are followed.

    Attributes:
        weak: least score of a detection that can keep a track alive, 0..1.
        match_iou: least overlap of a track's predicted box and a confident detection, above 0.
        weak_iou: the same of a weak detection.
        confirm_iou: the same of a track that is not told yet.
        confirm: frames in a row in which an object is found before it is told; those of the first frame at once.
        keep_lost: frames that a track waits for its object; then it ends.
        smoothing: share of what was shown before in the box that is shown, from 0 (the detection's own box) to below 1.
        any_class: a detection of another class may go on a track, which is then of that class.
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
    """The objects that a frame shows, N of them, in the order of the frame's detections.

    Attributes:
        ids: N int64, from 1.
        objects: their boxes, smoothed if that is asked for, with the scores and labels of the detections. Weak ones are
            among them.
        sources: N int64, their places in the frame's detections.
        ended: ids of the tracks that ended with this frame; they do not come again.
        left_out: detections that cannot be followed, because their box has no area or a number that is not finite.
    """

    ids: NDArray[np.int64]
    objects: Detections
    sources: NDArray[np.int64]
    ended: tuple[int, ...]
    left_out: int

    def __len__(self) -> int:
        return len(self.ids)


class Tracker:
    """Follows the objects of one camera or video; give it every frame once, in their order.

    Args:
        confident: from which score on a detection is confident; one for all classes, or one for each.
        settings: the rest.

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
        self._motion = Motion.begin(nothing)
        self._shown = nothing  # boxes, smoothed, going with the motion
        # of each track, oldest first; the id is 0 until it is told
        self._ids, self._labels, self._seen, self._missed = (np.zeros(0, np.int64) for _ in range(4))

    def update(self, found: Detections) -> Tracked:
        """The next frame.

        Args:
            found: everything that the detector found, weak detections too.
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
        born = confident.copy()
        born[sources[rows]] = False
        ended = self._end(sources)
        sources = np.concatenate([sources[ended.kept], np.flatnonzero(born)])
        self._bear(boxes[born], found.labels[born])
        return self._tell(found, sources, ended.ids, int(np.count_nonzero(~sound)))

    def _predict(self) -> None:
        before = self._motion.boxes_xyxy
        self._motion.predict(self._missed > 0)
        self._shown = self._shown + (self._motion.boxes_xyxy - before)

    def _associate(
        self, boxes: NDArray[np.float64], labels: NDArray[np.int64], confident: np.ndarray, weak: np.ndarray
    ) -> NDArray[np.int64]:
        """For each track the place of its detection, or -1."""
        settings = self.settings
        iou = pairwise_iou(self._motion.boxes_xyxy, boxes)
        if not settings.any_class:
            iou[self._labels[:, None] != labels[None]] = 0
        sources = np.full(len(self._ids), -1, np.int64)
        told = self._ids > 0
        for tracks, candidates, least in (
            (told, confident, settings.match_iou),
            (told & (self._missed == 0), weak, settings.weak_iou),
            (~told, confident, settings.confirm_iou),
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
        """Drop tracks that waited too long, and those that were never told and are missed once."""
        kept = np.where(self._ids > 0, self._missed <= self.settings.keep_lost, sources >= 0)
        ids = self._ids[~kept & (self._ids > 0)]
        self._motion, self._shown = self._motion.only(kept), self._shown[kept]
        self._ids, self._labels = self._ids[kept], self._labels[kept]
        self._seen, self._missed = self._seen[kept], self._missed[kept]
        return _Ended(kept, tuple(ids.tolist()))

    def _bear(self, boxes: NDArray[np.float64], labels: NDArray[np.int64]) -> None:
        """New tracks behind the others, and ids for those that are told from now on."""
        count = len(boxes)
        self._motion, self._shown = self._motion.then(Motion.begin(boxes)), np.concatenate([self._shown, boxes])
        self._labels = np.concatenate([self._labels, labels])
        self._seen = np.concatenate([self._seen, np.ones(count, np.int64)])
        self._missed = np.concatenate([self._missed, np.zeros(count, np.int64)])
        self._ids = np.concatenate([self._ids, np.zeros(count, np.int64)])
        told = (self._ids == 0) & ((self._seen >= self.settings.confirm) | (not self._begun))
        self._ids[told] = self._last_id + 1 + np.arange(np.count_nonzero(told))
        self._last_id += int(np.count_nonzero(told))
        self._begun = True

    def _tell(self, found: Detections, sources: NDArray[np.int64], ended: tuple[int, ...], left_out: int) -> Tracked:
        rows = np.flatnonzero((self._ids > 0) & (sources >= 0))
        rows = rows[np.argsort(sources[rows])]
        seen = sources[rows]
        objects = Detections(self._shown[rows].astype(np.float32), found.scores[seen], found.labels[seen])
        return Tracked(self._ids[rows], objects, seen, ended, left_out)


@dataclass(frozen=True)
class _Ended:
    """Which tracks go on, and the ids of those that do not."""

    kept: NDArray[np.bool_]
    ids: tuple[int, ...]
