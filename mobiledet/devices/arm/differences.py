"""Differences between the outputs of a file on two processors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mobiledet.bundle import Bundle
from mobiledet.devices.arm.replay import Replay
from mobiledet.matching import match


@dataclass(frozen=True)
class Differences:
    """The largest differences over all golden cases.

    Attributes:
        detections: number of detections of the first processor.
        box_px: largest difference of a coordinate between two detections of one object, in pixels of the model's input.
        score: largest difference of their scores.
        unpaired: number of detections of either processor without a counterpart on the same object.
    """

    detections: int
    box_px: float
    score: float
    unpaired: int

    @classmethod
    def worst(cls, items: Sequence["Differences"]) -> "Differences | None":
        """The largest value of each field; None for an empty list."""
        if not items:
            return None
        return cls(*(max(values) for values in zip(*(vars(each).values() for each in items), strict=True)))

    @property
    def text(self) -> str:
        """The differences as text."""
        if not (self.box_px or self.score or self.unpaired):
            return "agree to the bit"
        lone = f", and {self.unpaired} detections are unpaired" if self.unpaired else ""
        return f"differ by up to {self.box_px:.2g} pixels and scores of {self.score:.2g}{lone}"


def differences(bundle: Bundle, path: str, one: Replay, other: Replay) -> Differences:
    """Compare the outputs of two processors for the golden cases of a file."""
    size = np.array([bundle.spec.input.width, bundle.spec.input.height] * 2)
    detections, unpaired, box, score = 0, 0, 0.0, 0.0
    for ours, theirs in zip(one.cases, other.cases, strict=True):
        pairs, _ = match(ours, theirs)
        apart = np.abs(ours.boxes_xyxy[pairs["expected"]] - theirs.boxes_xyxy[pairs["found"]]) * size
        box, score = max(box, float(apart.max(initial=0))), max(score, float(pairs["score_difference"].max(initial=0)))
        detections += len(ours)
        unpaired += len(ours) + len(theirs) - 2 * len(pairs)
    return Differences(detections, box, score, unpaired)
