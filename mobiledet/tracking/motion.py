"""Predicts the motion of boxes by Kalman filters with constant velocity.

The filter of SORT's successors (Wojke, Bewley, Paulus: Simple Online and Realtime Tracking with a Deep Association
Metric, arXiv 1703.07402, section 2.1), on centre, width and height as in Aharon, Orfaig, Bobrovsky: BoT-SORT, arXiv
2206.14651, section 3.1. Its noise is diagonal, so it separates into four filters with two states each, position and
velocity, with the same result and without matrices. It uses only +, -, * and / in 64 bits, in the order written here,
so that Kotlin, Swift and JavaScript compute the same bits.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

# standard deviations relative to the box's width or height; of velocities per frame
PLACE, VELOCITY = 0.05, 0.00625
FIRST_PLACE, FIRST_VELOCITY = 0.1, 0.0625
SIDES = [2, 3, 2, 3]  # columns (width, height) to which centre, width and height are relative


@dataclass
class Motion:
    """T boxes, each array T x 4: centre x, centre y, width, height.

    Attributes:
        place: position, in pixels.
        velocity: velocity, in pixels per frame.
        place_variance, covariance, velocity_variance: variance of the position, covariance of both, variance of the
            velocity.
    """

    place: Numbers
    velocity: Numbers
    place_variance: Numbers
    covariance: Numbers
    velocity_variance: Numbers

    @classmethod
    def start(cls, boxes_xyxy: Numbers) -> Self:
        """Start with boxes that are seen for the first time, T x 4, at rest."""
        place = to_cxcywh(boxes_xyxy)
        spread, drift = FIRST_PLACE * place[:, SIDES], FIRST_VELOCITY * place[:, SIDES]
        zeros = np.zeros_like(place)
        return cls(place, zeros, spread * spread, zeros.copy(), drift * drift)

    def predict(self, lost: NDArray[np.bool_]) -> None:
        """Predict the next frame; boxes that were ``lost`` in the last frame keep their size."""
        self.velocity[lost, 2:] = 0
        spread, drift = PLACE * self.place[:, SIDES], VELOCITY * self.place[:, SIDES]
        self.place = self.place + self.velocity
        self.place_variance = self.place_variance + 2 * self.covariance + self.velocity_variance + spread * spread
        self.covariance = self.covariance + self.velocity_variance
        self.velocity_variance = self.velocity_variance + drift * drift

    def correct(self, rows: NDArray[np.int64], boxes_xyxy: Numbers) -> None:
        """Update some of the boxes with measured ones, one for each of ``rows``."""
        place, covariance = self.place[rows], self.covariance[rows]
        spread = PLACE * place[:, SIDES]
        total = self.place_variance[rows] + spread * spread
        gain, pull = self.place_variance[rows] / total, covariance / total
        missed_by = to_cxcywh(boxes_xyxy) - place
        self.place[rows] = place + gain * missed_by
        self.velocity[rows] += pull * missed_by
        self.place_variance[rows] -= gain * self.place_variance[rows]
        self.covariance[rows] = covariance - gain * covariance
        self.velocity_variance[rows] -= pull * covariance

    @property
    def boxes_xyxy(self) -> Numbers:
        """The boxes, T x 4, xyxy."""
        half = self.place[:, 2:] / 2
        return np.concatenate([self.place[:, :2] - half, self.place[:, :2] + half], axis=1)

    def concatenate(self, other: "Motion") -> "Motion":
        """Concatenate these boxes and others."""
        return Motion(*(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)))

    def select(self, kept: NDArray[np.bool_]) -> "Motion":
        """Select some of the boxes."""
        return Motion(*(getattr(self, f.name)[kept] for f in fields(self)))


def to_cxcywh(boxes_xyxy: Numbers) -> Numbers:
    """Convert N x 4 boxes from xyxy to centre x, centre y, width, height."""
    first, last = boxes_xyxy[:, :2], boxes_xyxy[:, 2:]
    return np.concatenate([(first + last) / 2, last - first], axis=1)
