"""Detects small objects in large images by running on the whole image and on overlapping tiles of it.

Tiling as in "Slicing Aided Hyper Inference" (Akyon et al., arXiv:2202.06934), with another merging rule, see
``tile_merging``: an object at the edge of a tile is neither duplicated nor cut in half.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from time import perf_counter_ns

import numpy as np
from numpy.typing import NDArray

from mobiledet.data.images import ImageSource, read_rgb
from mobiledet.detections import Detections
from mobiledet.devices.base import BenchmarkPlan, BenchmarkSamples, Execution, Frame, GoldenReport, Session, StageTimes
from mobiledet.errors import UserError
from mobiledet.evaluation.tile_merging import merge
from mobiledet.spec import MIN_SIDE, ModelSpec, image_sides, sides_text

AUTO = "auto"
MAX_TILES = 5000  # of an image
MAX_IOU = 0.5  # upper limit of the IoU threshold, because boxes from different tiles differ more than those of one
Slice = tuple[int, int, int, int]  # left, top, right, bottom, pixels


@dataclass(frozen=True)
class Tiling:
    """How images are cut into tiles.

    Attributes:
        height, width: size of a tile in pixels; 0 for the model's input size.
        overlap: least overlap of neighbouring tiles, as a fraction of their side; 0..0.9.
    """

    height: int
    width: int
    overlap: float

    def __str__(self) -> str:
        return f"{sides_text(self.height, self.width)}, overlap {self.overlap:g}"

    def slices(self, height: int, width: int) -> list[Slice]:
        """Tiles of equal size that cover an image of this size evenly; empty if one tile would cover it.

        Raises:
            UserError: there would be too many tiles.
        """
        rows = _starts(height, self.height, self.overlap)
        columns = _starts(width, self.width, self.overlap)
        if len(rows) * len(columns) == 1:
            return []
        if len(rows) * len(columns) > MAX_TILES:
            raise UserError(
                f"--tiles {sides_text(self.height, self.width)} cuts {width} x {height} pixels into more than "
                f"{MAX_TILES} tiles; make them larger"
            )
        tall, wide = min(height, self.height), min(width, self.width)
        return [(left, top, left + wide, top + tall) for top in rows for left in columns]


def parse_tiling(text: str, overlap: float) -> Tiling | None:
    """Parse the options ``--tiles`` and ``--tile-overlap``; None without tiles.

    Raises:
        UserError: an option is out of range.
    """
    if not 0 <= overlap <= 0.9:
        raise UserError(f"--tile-overlap {overlap} is not in 0..0.9")
    if not text:
        return None
    if text.strip().lower() == AUTO:
        return Tiling(0, 0, overlap)
    try:
        height, width = image_sides(text)
    except ValueError as error:
        raise UserError(f"--tiles {text!r}: {error}, or {AUTO}") from error
    if min(height, width) < MIN_SIDE:
        raise UserError(f"--tiles {text!r} is below {MIN_SIDE} pixels; give a larger size, such as 640")
    return Tiling(height, width, overlap)


def _starts(side: int, tile: int, overlap: float) -> list[int]:
    """Start positions of the tiles along one side: the first at its start, the last ends at its end, evenly spaced."""
    if side <= tile:
        return [0]
    step = max(1, tile - int(np.ceil(tile * overlap)))
    count = 1 + -(-(side - tile) // step)
    return [round(index * (side - tile) / (count - 1)) for index in range(count)]


class TiledSession:
    """A loaded model file that runs on each whole image and on its tiles, one after the other.

    The whole image is processed as without tiles, so its detections are the same. The tiles are cut here, from the
    upright image at full size. ``Frame.whole`` has the detections in the whole image alone; ``Frame.times`` are sums
    over all runs, including the decoding here.

    Args:
        session: the loaded file; its runtime processes one image at a time.
        spec: spec of the model.
        tiling: size and overlap of the tiles.
    """

    def __init__(self, session: Session, spec: ModelSpec, tiling: Tiling) -> None:
        self._session = session
        self._iou = min(spec.nms.iou, MAX_IOU)
        size = spec.input
        self.tiling = replace(tiling, height=tiling.height or size.height, width=tiling.width or size.width)

    @property
    def execution(self) -> Execution:
        """How the file is actually executed."""
        return self._session.execution

    def golden(self) -> GoldenReport:
        """See ``Session.golden``; without tiles."""
        return self._session.golden()

    def benchmark(self, plan: BenchmarkPlan) -> BenchmarkSamples | None:
        """See ``Session.benchmark``; single runs, without tiles."""
        return self._session.benchmark(plan)

    def detect(self, images: Iterable[ImageSource], apply_orientation: bool = False) -> Generator[Frame, None, None]:
        """See ``Session.detect``."""
        pending: deque[_Cut] = deque()

        def sources() -> Iterator[ImageSource]:
            for index, image in enumerate(images):
                started = perf_counter_ns()
                cut, pixels = self._cut(image, index, apply_orientation)
                cut.decode_ns = perf_counter_ns() - started
                pending.append(cut)
                yield image
                for left, top, right, bottom in cut.slices:
                    yield np.ascontiguousarray(pixels[top:bottom, left:right])

        with closing(self._session.detect(sources(), apply_orientation)) as frames:
            for whole in frames:
                cut = pending.popleft()
                parts = [next(frames) for _ in cut.slices]
                yield self._merged(whole, cut, parts)

    def _cut(self, image: ImageSource, index: int, apply_orientation: bool) -> "tuple[_Cut, NDArray[np.uint8]]":
        name = image if isinstance(image, Path) else Path(str(index))
        cut = _Cut(name)
        pixels = np.zeros((0, 0, 3), np.uint8)
        try:
            pixels = read_rgb(image, name, apply_orientation)
            cut.height, cut.width = pixels.shape[:2]
            cut.slices = self.tiling.slices(*pixels.shape[:2])
        except UserError as error:
            cut.problem = str(error)
        return cut, pixels

    def _merged(self, whole: Frame, cut: "_Cut", parts: list[Frame]) -> Frame:
        problem = whole.problem or cut.problem or next((part.problem for part in parts if part.problem), "")
        if problem or whole.times is None:
            return Frame(cut.image, Detections.empty(), None, problem)
        if (whole.height, whole.width) != (cut.height, cut.width):
            sizes = f"{whole.width} x {whole.height} pixels, here it has {cut.width} x {cut.height}"
            raise UserError(f"{cut.image}: the device decodes it to {sizes}, so its tiles would not match")
        started = perf_counter_ns()
        boxes = [(0, 0, whole.width, whole.height), *cut.slices]
        found = merge([whole.detections, *(part.detections for part in parts)], boxes, self._iou)
        merging = perf_counter_ns() - started
        spent = [whole.times, *(part.times for part in parts if part.times)]
        sums = {stage.name: sum(getattr(times, stage.name) for times in spent) for stage in fields(StageTimes)}
        sums["decode"] += cut.decode_ns
        sums["postprocess"] += merging
        return replace(whole, image=cut.image, detections=found, times=StageTimes(**sums), whole=whole)


@dataclass
class _Cut:
    """An image whose tiles are being processed."""

    image: Path
    slices: list[Slice] = field(default_factory=list)
    height: int = 0
    width: int = 0
    problem: str = ""
    decode_ns: int = 0
