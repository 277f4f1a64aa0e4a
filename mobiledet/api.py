"""The Python API: the commands of the command line as functions, and ``Detector``. ``import mobiledet`` exports it.

Options have the same names, defaults and meaning as on the command line, because they come from the same dataclasses.
Paths may be given as strings, and tuples as lists. Errors that a user can fix are raised as ``UserError``; their
messages name options as on the command line.
"""

import math
from collections.abc import Collection, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
from PIL import Image

from mobiledet.bundle import Bundle, ModelFile, open_bundle
from mobiledet.data.images import ImageSource, pillow_rgb, read_rgb
from mobiledet.data.video import VideoFrame, open_video
from mobiledet.detections import Detections
from mobiledet.devices.base import Execution
from mobiledet.errors import UserError
from mobiledet.evaluation.config import EvaluateConfig, PredictConfig
from mobiledet.evaluation.follow import Follower
from mobiledet.evaluation.found import Found, FoundFrame, TrackedFrame
from mobiledet.evaluation.opened import OpenedFile, open_file
from mobiledet.evaluation.predict_video import detect_frames
from mobiledet.evaluation.result import Result
from mobiledet.evaluation.tiles import parse_tiling
from mobiledet.keywords import narrowed, takes, takes_after
from mobiledet.model_card.config import CardConfig
from mobiledet.spec import ModelSpec
from mobiledet.tracking.counting import CountedPoint, Line, Zone
from mobiledet.tracking.tracker import Tracker, TrackerSettings
from mobiledet.training.config import TrainConfig
from mobiledet.versions.config import CompareConfig
from mobiledet.zoo.checkpoints import print_progress
from mobiledet.zoo_bundle import find_bundle
from mobiledet_converters.config import ExportConfig

if TYPE_CHECKING:
    from mobiledet.training.engine import TrainResult
    from mobiledet.versions.outcome import Outcome

ImageInput = str | Path | bytes | Image.Image | np.ndarray


class Detector:
    """An exported detector, ready to run on images; made by ``Detector.open``.

    If it runs on another device, use it as a context manager or ``close`` it. It is not thread-safe.

    Attributes:
        bundle, file: the opened bundle, and the model file that is run.
        spec: description of the model, such as ``labels`` and the size of its input.
        execution: the accelerator that is actually used, and the number of threads.
    """

    def __init__(self, opened: OpenedFile) -> None:
        self._opened = opened
        self.bundle: Bundle = opened.bundle
        self.file: ModelFile = opened.file
        self.spec: ModelSpec = opened.bundle.spec
        self.execution: Execution = opened.session.execution

    @classmethod
    def open(
        cls,
        bundle: str | Path | Bundle,
        *,
        file: str = "",
        threads: int = 0,
        accelerator: str = "auto",
        device: str = "local",
        token: str = "",
        quiet: bool = False,
        tiles: str | int = "",
        tile_overlap: float = PredictConfig.tile_overlap,
    ) -> Self:
        """Load a model file of a bundle on a device, and check that it gives the same detections as at export.

        Args:
            bundle: a bundle, such as the result of ``export``, its folder or zip, or the name of a published detector,
                which is downloaded and exported on first use (see ``mobiledet zoo``).
            file: name or precision of the model file, such as ``int8``; by default the one that the bundle recommends
                for the accelerator (``bundle.recommended``).
            threads: number of CPU threads; 0 uses every core.
            accelerator: accelerator of the device; ``auto`` chooses the best one that works.
            device: where to run; ``local`` is this machine, ``http://HOST:PORT`` a ``mobiledet agent``, see
                ``mobiledet devices``.
            token: access token of an agent; by default the environment variable MOBILEDET_AGENT_TOKEN.
            quiet: print no progress while a published detector is downloaded and exported.
            tiles: also run on tiles of this size in pixels, such as 640, "480x640" (height x width) or "auto" (the size
                of the input). This detects small objects in large images, at the cost of a run for each tile.
            tile_overlap: overlap of neighbouring tiles, as a fraction of their side.

        Raises:
            UserError: bundle, file or device is not available, or the device gives other detections than at export.
        """
        given = bundle.path if isinstance(bundle, Bundle) else Path(bundle)
        tiling = parse_tiling(str(tiles), tile_overlap)
        path = find_bundle(given, (lambda line: None) if quiet else print_progress)
        return cls(open_file(path, file, device, token, accelerator, threads, tiling))

    @overload
    def detect(self, images: ImageInput, score: float | None = ...) -> Found: ...

    @overload
    def detect(self, images: list[Any] | tuple[Any, ...], score: float | None = ...) -> list[Found]: ...

    def detect(
        self, images: ImageInput | list[Any] | tuple[Any, ...], score: float | None = None
    ) -> Found | list[Found]:
        """Detect objects in one or several images.

        Args:
            images: an image or a list of images. Each is the path of an image file, the file's bytes, a PIL image, or
                pixels, height x width x 3 uint8 RGB (from OpenCV: ``image[..., ::-1]``). Images with an EXIF
                orientation are rotated upright, unless the model was trained without.
            score: lowest score, 0..1; by default the thresholds in the bundle (``file.operating_point``), or 0.3.

        Returns:
            the detections; for a list of images a list in the same order.

        Raises:
            UserError: an image cannot be read, the device is not reachable any more, or the score is not valid.
        """
        min_score = self._opened.score_threshold(score)
        if isinstance(images, list | tuple):
            return self._detect(images, min_score)
        return self._detect([images], min_score)[0]

    def _detect(self, images: Iterable[Any], score: float | np.ndarray) -> list[Found]:
        upright = self.spec.input.exif != "ignore"
        sources = [_source(image, upright) for image in images]
        results = []
        for source, frame in zip(sources, self._opened.session.detect(sources, upright), strict=True):
            if frame.problem:
                raise UserError(frame.problem)
            found = frame.detections.above(score)
            names = tuple(self.spec.labels[label] for label in found.labels)
            ids = self._category_ids(found)
            sides = frame.height, frame.width
            results.append(Found(found.boxes_xyxy, found.scores, found.labels, names, ids, *sides, source, upright))
        return results

    def stream(
        self, source: str | Path | int, every: int = 1, score: float | None = None
    ) -> Generator[FoundFrame, None, None]:
        """Detect objects in the frames of a video or camera, one after the other.

        Args:
            source: a video file, the number of a camera, its device, or an address such as rtsp://... From a camera or
                a live stream the newest frame is taken each time.
            every: use only every N-th frame.
            score: as in ``detect``.

        Raises:
            UserError: the source cannot be read, an argument is out of range, or, after the last frame that could be
                decoded, the video is damaged.
        """
        min_score = self._opened.score_threshold(score)
        with closing(self._frames(source, every)) as frames:
            for frame, detections in frames:
                yield FoundFrame(**self._frame_fields(frame, detections.above(min_score)))

    def track(
        self,
        source: str | Path | int | list[Any] | tuple[Any, ...],
        every: int = 1,
        score: float | None = None,
        *,
        settings: TrackerSettings | None = None,
        lines: Iterable[Line] = (),
        zones: Iterable[Zone] = (),
        point: CountedPoint = "bottom",
    ) -> Generator[TrackedFrame, None, None]:
        """Track objects through the frames of a video or camera: each object keeps its id from frame to frame.

        Args:
            source: as in ``stream``; or a list of images, as in ``detect``, that are consecutive frames of one camera.
            every: use only every N-th frame of a video.
            score: as in ``detect``; detections of at least this score can start a track.
            settings: settings of the tracker.
            lines, zones: where objects are counted, in pixels of a frame; ``frame.follower.counter`` has the counts.
            point: the point of a box that is tested against lines and zones.

        Raises:
            UserError: as in ``stream``.
        """
        tracker = Tracker(self._opened.score_threshold(score), settings or TrackerSettings())
        follower = Follower(tracker, tuple(lines), tuple(zones), point)
        are_images = isinstance(source, list | tuple)
        with closing(self._image_frames(source) if are_images else self._frames(source, every)) as frames:
            for frame, detections in frames:
                tracked = follower.update(detections, *frame.pixels.shape[:2])
                yield TrackedFrame(**self._frame_fields(frame, tracked.objects), ids=tracked.ids, follower=follower)

    def _frames(self, source: Any, every: int) -> Generator[tuple[VideoFrame, Detections], None, None]:
        if every < 1:
            raise UserError(f"every {every} is not at least 1")
        with open_video(str(source)) as video:
            with closing(detect_frames(self._opened.session, video, every)) as frames:
                yield from frames
            if video.problem:
                raise UserError(f"{video.name} is damaged: {video.report}")

    def _image_frames(self, images: Any) -> Generator[tuple[VideoFrame, Detections], None, None]:
        upright = self.spec.input.exif != "ignore"
        for index, image in enumerate(images):
            source = _source(image, upright)
            (frame,) = self._opened.session.detect([source], upright)
            if frame.problem:
                raise UserError(frame.problem)
            pixels = read_rgb(source, Path("of bytes"), upright)
            yield VideoFrame(pixels, index, ticks=index, time_s=math.nan), frame.detections

    def _frame_fields(self, frame: VideoFrame, found: Detections) -> dict[str, Any]:
        height, width = frame.pixels.shape[:2]
        names = tuple(self.spec.labels[label] for label in found.labels)
        rows = {"boxes": found.boxes_xyxy, "scores": found.scores, "labels": found.labels, "names": names}
        rows["category_ids"] = self._category_ids(found)
        place = {"image": frame.pixels, "index": frame.index, "time_s": frame.time_s}
        return {**rows, "height": height, "width": width, **place}

    def _category_ids(self, found: Detections) -> tuple[int, ...]:
        return tuple(self.spec.category_ids[label] for label in found.labels)

    def close(self) -> None:
        """Release the device."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Detector {self.spec.name}, {self.file.path}, on {self.execution.actual}>"


def _source(image: Any, upright: bool) -> ImageSource:
    """An image in one of the forms that devices accept.

    Raises:
        UserError: it is not an image.
    """
    if isinstance(image, str | Path):
        return Path(image)
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, Image.Image):
        return pillow_rgb(image, upright)
    if not isinstance(image, np.ndarray):
        kind = type(image).__name__
        raise UserError(f"a {kind} is not an image; give a path, bytes, a PIL image or an array of pixels")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        shape = " x ".join(map(str, image.shape))
        raise UserError(f"an array of {shape} {image.dtype} is not an image; give height x width x 3 uint8, RGB")
    return image


@dataclass(frozen=True)
class _Train(TrainConfig):
    quiet: bool = False
    """Show no progress."""


@takes(_Train)
def train(settings: _Train, given: Collection[str]) -> "TrainResult":
    """Train a detector, as ``mobiledet train`` does.

    Settings that are not given are taken from the run in ``resume``, from ``recipe``, ``init`` or ``qat``, or else the
    defaults.

    Returns:
        the checkpoint with the highest validation mAP (``best``), its ``metrics``, and the run's ``folder``.

    Raises:
        UserError: a setting is wrong, data are bad, or the loss is no longer finite.
        KeyboardInterrupt: Ctrl-C; the run can be continued with ``resume``.
    """
    from mobiledet.training import engine
    from mobiledet.training.recipes import base_config

    before = base_config(settings.recipe, settings.qat, settings.resume, settings.init)
    changes = {name: getattr(settings, name) for name in given if name != "quiet"}
    return engine.train(replace(before, **changes), quiet=settings.quiet)


@dataclass(frozen=True)
class _Export(ExportConfig):
    quiet: bool = False
    """Show no progress and no table."""


@takes_after(_Export)
def export(checkpoint: str | Path, settings: _Export) -> Bundle:
    """Export a checkpoint to a bundle of model files, each checked against PyTorch, as ``mobiledet export`` does.

    Returns:
        the bundle; ``left_out`` lists the files that failed the checks.

    Raises:
        UserError: the checkpoint, the calibration images or the folder cannot be used, a converter is missing or
            fails, or no file passes the checks. Then nothing is written.
    """
    from rich.console import Console

    from mobiledet_converters.export import make

    return make(narrowed(settings, ExportConfig), Console(quiet=settings.quiet))


@dataclass(frozen=True)
class _Evaluate(EvaluateConfig):
    quiet: bool = False
    """Show no progress."""


@takes_after(_Evaluate)
def evaluate(bundle: str | Path | Bundle, settings: _Evaluate) -> Result:
    """Measure a model file of a bundle on a device, as ``mobiledet evaluate`` does.

    The result is written only if ``out`` is given; then an interrupted evaluation can be resumed, too.

    Returns:
        the result with ``metrics`` (``AP``, ``AP50``, ...), ``latency`` (``p50_ms``, ...) and the underlying data.

    Raises:
        UserError: options contradict each other, the device refuses the file or gives other detections than at export,
            or the data are bad.
    """
    from mobiledet.evaluation.run import measure

    if settings.tool != "mobiledet":
        raise UserError(f"tool {settings.tool} returns no result; use mobiledet evaluate --tool {settings.tool}")
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(settings.bundle)
    return measure(narrowed(settings, EvaluateConfig), opened, quiet=settings.quiet)


@dataclass(frozen=True)
class _Compare(CompareConfig):
    quiet: bool = False
    """Show no progress."""


@takes(_Compare)
def compare(settings: _Compare, given: Collection[str]) -> "Outcome":
    """Compare two versions of a detector on the same images, as ``mobiledet compare`` does.

    Pages and files are written only if ``html``, ``json`` or ``markdown`` are given.

    Returns:
        the outcome with ``scores`` (``map``, ``ap50``, ``classes``, each with ``old``, ``new``, ``low`` and ``high``),
        ``latency``, ``turned_right``, ``turned_wrong``, and ``worse``, the limits that the new version exceeds.

    Raises:
        UserError: one of the versions cannot be used, or they were not evaluated on the same images.
    """
    from mobiledet.versions.run import compare, write

    config = narrowed(settings, CompareConfig)
    outcome = compare(config, settings.quiet)
    write(outcome, config)
    return outcome


@takes_after(CardConfig)
def card(bundle: str | Path | Bundle, settings: CardConfig) -> str:
    """Make the model card of a bundle, as ``mobiledet card`` does.

    If ``out`` is given, the card is written there as Markdown, and as an HTML page beside it.

    Returns:
        the card as Markdown.

    Raises:
        UserError: the bundle or a result cannot be used, or no result belongs to this bundle.
    """
    from mobiledet.evaluation.card import card_of
    from mobiledet.model_card.draw import markdown
    from mobiledet.model_card.write import write_card

    opened = bundle if isinstance(bundle, Bundle) else open_bundle(settings.bundle)
    made = card_of(opened, settings.results)
    if settings.out:
        write_card(made, settings.out)
    return markdown(made)


def list_backbones() -> list[str]:
    """Names for ``train(backbone=...)``, including those of other packages; ``mobiledet list`` shows their cost."""
    from mobiledet.backbones import BACKBONES

    return list(BACKBONES)


def list_detectors() -> list[str]:
    """Names for ``train(detector=...)``, including those of other packages."""
    from mobiledet.detectors import DETECTORS

    return list(DETECTORS)
