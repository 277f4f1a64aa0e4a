"""What a detector found on one picture, for people who work with it in Python."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobiledet.data.images import ImageSource, read_rgb
from mobiledet.detections import Detections
from mobiledet.drawing.pictures import draw_detections, save_picture
from mobiledet.errors import UserError
from mobiledet.evaluation.follow import Follower

SHOWN = 5  # of a representation


@dataclass(frozen=True, eq=False)
class Found:
    """What was found on one picture, N objects, best score first.

    Attributes:
        boxes: N x 4 float32, (x1, y1, x2, y2) in pixels of the upright picture, x to the right, y downwards.
        scores: N float32 in 0..1.
        labels: N int64, indices of the model's classes.
        names: of the class of each object.
        height, width: of the upright picture, in pixels.
        image: the picture: its path, its bytes, or its pixels, which are not copied.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    height: int
    width: int
    image: ImageSource = field(repr=False)
    _turned: bool = True

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        best = [f"{name} {score:.2f}" for name, score in zip(self.names[:SHOWN], self.scores[:SHOWN], strict=True)]
        more = [f"{len(self) - SHOWN} more"] * (len(self) > SHOWN)
        return f"<{len(self)} found in {self.width} x {self.height} pixels: {', '.join(best + more) or 'nothing'}>"

    def draw(self, path: str | Path | None = None) -> NDArray[np.uint8]:
        """The picture with boxes, names and scores.

        Args:
            path: where to write it, a .jpg or .png; a missing folder is made. By default it is only returned.

        Returns:
            height x width x 3 uint8 RGB. A picture whose longer side is below 480 pixels is enlarged by a whole factor.

        Raises:
            UserError: the picture is no longer where it was, or the file cannot be written.
        """
        pixels = read_rgb(self.image, Path("of bytes"), self._turned)
        if pixels.shape[:2] != (self.height, self.width):
            raise UserError(f"{self.image!s} is not the picture any more that was looked at; detect again")
        names = dict(zip(self.labels.tolist(), self.names, strict=True))
        drawn = self._drawn(pixels, Detections(self.boxes, self.scores, self.labels), names)
        if path is not None:
            if isinstance(self.image, Path) and self.image.resolve() == Path(path).resolve():
                raise UserError(f"{path} would overwrite the picture that was looked at; choose another name")
            save_picture(Path(path), drawn)
        return drawn

    def _drawn(self, pixels: NDArray[np.uint8], found: Detections, names: dict[int, str]) -> NDArray[np.uint8]:
        return draw_detections(pixels, found, names)

    def to_supervision(self) -> Any:
        """The same as ``supervision.Detections``, the names as ``data["class_name"]``.

        Raises:
            UserError: the package supervision is not installed.
        """
        try:
            from supervision import Detections as Theirs
        except ImportError as error:
            raise UserError(
                f"to_supervision needs the package supervision ({error}): pip install supervision"
            ) from error
        names = {"class_name": np.array(self.names, dtype=str)}
        return Theirs(xyxy=self.boxes, confidence=self.scores, class_id=self.labels, data=names)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class FoundFrame(Found):
    """What was found in one frame of a video; ``image`` holds its pixels.

    Attributes:
        index: place among the frames of the video, from 0.
        time_s: when it is shown, seconds since the beginning.
    """

    index: int
    time_s: float


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class TrackedFrame(FoundFrame):
    """What is followed through one frame of a video.

    Attributes:
        ids: N int64 from 1, of the track of each object.
        follower: what was counted up to the newest frame: ``follower.counter.lines``, ``follower.counter.zones``.
    """

    ids: NDArray[np.int64]
    follower: Follower = field(repr=False)

    def _drawn(self, pixels: NDArray[np.uint8], found: Detections, names: dict[int, str]) -> NDArray[np.uint8]:
        return draw_detections(pixels, found, names, ids=self.ids.tolist(), marks=self.follower.marks())

    def to_supervision(self) -> Any:
        """The same as ``supervision.Detections``, the ids as ``tracker_id``."""
        theirs = super().to_supervision()
        theirs.tracker_id = self.ids
        return theirs
