"""The outcome of a comparison of two versions."""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobiledet.data.dataset import DetectionSet, LabelledImage
from mobiledet.detections import Detections
from mobiledet.versions.config import CompareConfig
from mobiledet.versions.difference import Change, ScoreChange
from mobiledet.versions.latency_ratio import LatencyRatio
from mobiledet.versions.turned import Errors
from mobiledet.versions.version import Version

KIND = "mobiledet comparison"
SCHEMA_VERSION = 1


@dataclass(frozen=True, eq=False)
class Outcome:
    """The comparison of two versions on the same images.

    Attributes:
        old, new: the versions.
        dataset: images and ground truth.
        images: the images in the order of ``old_errors`` and ``new_errors``.
        scores: changes in mAP, AP50 and the AP of the classes.
        old_errors, new_errors: errors in each image.
        latency: ratio of the latencies; None if they cannot be compared.
        no_latency: why not; else empty.
        notes: remarks for the reader.
        worse: a line for each given limit that the new version exceeds.
    """

    old: Version
    new: Version
    dataset: DetectionSet
    images: tuple[LabelledImage, ...]
    scores: ScoreChange
    old_errors: Errors
    new_errors: Errors
    latency: LatencyRatio | None
    no_latency: str
    notes: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()

    @property
    def turned_right(self) -> NDArray[np.int64]:
        """Indices of the images that only the new version has right."""
        return np.flatnonzero(self.new_errors.right & ~self.old_errors.right)

    @property
    def turned_wrong(self) -> NDArray[np.int64]:
        """Indices of the images that only the old version has right."""
        return np.flatnonzero(self.old_errors.right & ~self.new_errors.right)

    @property
    def more_errors(self) -> NDArray[np.int64]:
        """For each image, the number of errors of the new version minus that of the old one."""
        more: NDArray[np.int64] = self.new_errors.total - self.old_errors.total
        return more

    def changed_most(self, count: int) -> list[int]:
        """Indices of up to ``count`` images with the largest changes in errors, losses first and at least half of
        them."""
        more = self.more_errors
        turned = self.old_errors.right != self.new_errors.right
        by_loss = np.lexsort((np.arange(len(more)), ~turned, -more))
        losses = [n for n in by_loss.tolist() if more[n] > 0]
        gains = [n for n in by_loss[::-1].tolist() if more[n] < 0]
        shown = max(count - len(gains), (count + 1) // 2)
        losses = losses[:shown]
        return [*losses, *gains[: count - len(losses)]]

    def shown(self, version: Version, errors: Errors, image_id: Any) -> Detections:
        """The detections in an image that are above the thresholds."""
        found = version.found[image_id]
        kept = found.scores >= errors.threshold[found.labels]
        return Detections(found.boxes_xyxy[kept], found.scores[kept], found.labels[kept])

    def to_json(self) -> dict[str, Any]:
        """JSON values, with ``kind`` and ``schema_version``."""

        def names(which: NDArray[np.int64]) -> list[dict[str, Any]]:
            return [{"id": self.images[n].id, "file": self.images[n].path.name} for n in which.tolist()]

        more = self.more_errors
        return {
            "kind": KIND,
            "schema_version": SCHEMA_VERSION,
            **{name: _version_json(getattr(self, name)) for name in ("old", "new")},
            "dataset": self.dataset.name,
            "images": self.scores.images,
            "images_sha256": self.dataset.sha256(),
            "map": _change_json(self.scores.map),
            "chance": self.scores.chance,
            "ap50": _change_json(self.scores.ap50),
            "classes": {
                entry.label: {**_change_json(entry.ap), "objects": entry.objects, "images": entry.images}
                for entry in self.scores.classes
            },
            "latency": dataclasses.asdict(self.latency) if self.latency else None,
            "no_latency": self.no_latency,
            "turned_right": names(self.turned_right),
            "turned_wrong": names(self.turned_wrong),
            "fewer_errors": int((more < 0).sum()),
            "more_errors": int((more > 0).sum()),
            "notes": list(self.notes),
            "worse": list(self.worse),
        }


def beyond_limits(config: CompareConfig, scores: ScoreChange, latency: LatencyRatio | None) -> Iterator[str]:
    """A line for each limit by which the new version is worse: exceeded, and by a significant loss."""
    drop = scores.map
    if config.max_drop is not None and -drop.difference > config.max_drop and scores.is_clear:
        yield f"mAP fell by {-drop.difference:.4f}, more than {config.max_drop:g}"
    if config.max_slower is not None and latency and latency.ratio > config.max_slower and latency.low > 1:
        yield f"it takes {latency.ratio:.3f} times as long, more than {config.max_slower:g}"


def _change_json(change: Change) -> dict[str, float | None]:
    return {
        "old": None if math.isnan(change.old) else change.old,
        "new": None if math.isnan(change.new) else change.new,
        "difference": None if math.isnan(change.difference) else change.difference,
        "low": change.low,
        "high": change.high,
    }


def _version_json(version: Version) -> dict[str, Any]:
    result = version.result
    return {
        "path": str(version.path),
        "name": version.name,
        "bundle_sha256": result.bundle_sha256 if result else None,
        "file": result.file.path if result else None,
        "created": result.created if result else None,
    }
