"""The detections in one image, as the Python API returns them."""

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

SHOWN = 5  # number of objects in repr


@dataclass(frozen=True, eq=False)
class Found:
    """The detections in one image: N objects, best score first.

    Attributes:
        boxes: N x 4 float32, xyxy in pixels of the upright image, x to the right, y downwards.
        scores: N float32 in 0..1.
        labels: N int64, indices of the model's classes.
        names: name of the class of each object.
        category_ids: the data set's own id of the class of each object (COCO: 1..90 with gaps).
        height, width: size of the upright image in pixels.
        image: the image: its path, its bytes, or its pixels, which are not copied.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    category_ids: tuple[int, ...]
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
        """Draw the image with boxes, names and scores.

        Args:
            path: file to write, a .jpg or .png; a missing folder is created. By default nothing is written.

        Returns:
            height x width x 3 uint8 RGB. An image whose longer side is below 480 pixels is enlarged by an integer
            factor.

        Raises:
            UserError: the image no longer exists or has changed, or the file cannot be written.
        """
        pixels = read_rgb(self.image, Path("of bytes"), self._turned)
        if pixels.shape[:2] != (self.height, self.width):
            raise UserError(f"{self.image!s} has changed since the detection; detect again")
        names = dict(zip(self.labels.tolist(), self.names, strict=True))
        drawn = self._drawn(pixels, Detections(self.boxes, self.scores, self.labels), names)
        if path is not None:
            if isinstance(self.image, Path) and self.image.resolve() == Path(path).resolve():
                raise UserError(f"{path} would overwrite the original image; choose another name")
            save_picture(Path(path), drawn)
        return drawn

    def _drawn(self, pixels: NDArray[np.uint8], found: Detections, names: dict[int, str]) -> NDArray[np.uint8]:
        return draw_detections(pixels, found, names)

    def to_supervision(self) -> Any:
        """Convert to ``supervision.Detections``, with the class names as ``data["class_name"]``.

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
    """The detections in one frame of a video; ``image`` contains its pixels.

    Attributes:
        index: number of the frame in the video, from 0.
        time_s: presentation time in seconds since the start of the video.
    """

    index: int
    time_s: float


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class TrackedFrame(FoundFrame):
    """The tracked objects in one frame of a video.

    Attributes:
        ids: N int64, track id of each object, from 1.
        follower: counts up to the newest frame: ``follower.counter.lines``, ``follower.counter.zones``.
    """

    ids: NDArray[np.int64]
    follower: Follower = field(repr=False)

    def _drawn(self, pixels: NDArray[np.uint8], found: Detections, names: dict[int, str]) -> NDArray[np.uint8]:
        return draw_detections(pixels, found, names, ids=self.ids.tolist(), marks=self.follower.marks())

    def to_supervision(self) -> Any:
        """Convert to ``supervision.Detections``, with the ids as ``tracker_id``."""
        theirs = super().to_supervision()
        theirs.tracker_id = self.ids
        return theirs
