"""Everything in Python: what the command line does, as functions. ``import mobiledet`` offers these names.

Options have the names, defaults and meaning of the command line, from the same dataclasses; paths may be texts, and
tuples lists. What a user can mend is raised as ``UserError``. Messages name an option as the command line does.
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
from mobiledet.zoo_bundle import find_bundle, tell
from mobiledet_converters.config import ExportConfig

if TYPE_CHECKING:
    from mobiledet.training.engine import TrainResult
    from mobiledet.versions.outcome import Outcome

Picture = str | Path | bytes | Image.Image | np.ndarray


class Detector:
    """An exported detector, ready to run on pictures; made by ``Detector.open``.

    Use it as a context manager, or ``close`` it, where it runs on another device. One thread at a time may use it.

    Attributes:
        bundle, file: what is run.
        spec: the model's description, such as ``labels`` and the size of its input.
        execution: what really computes, and on how many threads.
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
        """Load a model file of a bundle on a device, and check that it finds there what it found at export.

        Args:
            bundle: what ``export`` gave, a folder NAME.mobiledet, a zip of it, or the name of a published detector,
                which is fetched and exported the first time (see ``mobiledet zoo``).
            file: name or precision of the model file, such as ``int8``; by default the first .tflite.
            threads: of the processor; 0 takes every core.
            accelerator: what computes, one of the device's own; ``auto`` takes the best that works.
            device: where; ``local`` is this machine, ``http://HOST:PORT`` a ``mobiledet agent``, see
                ``mobiledet devices``.
            token: of an agent; by default MOBILEDET_AGENT_TOKEN of the environment.
            quiet: do not tell of the work that the name of a published detector causes.
            tiles: also run on slices of so many pixels, such as 640, "480x640" (height x width) or "auto" (the size of
                the input), which finds what is small in large pictures and takes as many runs.
            tile_overlap: of neighbouring slices, as a share of their side.

        Raises:
            UserError: bundle, file or device cannot be had, or the device computes something else.
        """
        given = bundle.path if isinstance(bundle, Bundle) else Path(bundle)
        tiling = parse_tiling(str(tiles), tile_overlap)
        path = find_bundle(given, (lambda line: None) if quiet else tell)
        return cls(open_file(path, file, device, token, accelerator, threads, tiling))

    @overload
    def detect(self, pictures: Picture, score: float | None = ...) -> Found: ...

    @overload
    def detect(self, pictures: list[Any] | tuple[Any, ...], score: float | None = ...) -> list[Found]: ...

    def detect(
        self, pictures: Picture | list[Any] | tuple[Any, ...], score: float | None = None
    ) -> Found | list[Found]:
        """Find objects.

        Args:
            pictures: the path of a picture file, its bytes, a PIL image, or pixels, height x width x 3 uint8 RGB (of
                OpenCV: ``image[..., ::-1]``); or a list of them. Those that carry an EXIF orientation are turned
                upright, unless the model was trained without it.
            score: objects below it are left out, 0..1; by default below the thresholds of each class that
                ``mobiledet thresholds`` stored in the bundle (``file.operating_point``), or below 0.3 without any.

        Returns:
            what was found; for a list a list, in its order.

        Raises:
            UserError: a picture cannot be read, the device is gone, or the score is none.
        """
        least = self._opened.score_threshold(score)
        if isinstance(pictures, list | tuple):
            return self._detect(pictures, least)
        return self._detect([pictures], least)[0]

    def _detect(self, pictures: Iterable[Any], score: float | np.ndarray) -> list[Found]:
        upright = self.spec.input.exif != "ignore"
        sources = [_source(picture, upright) for picture in pictures]
        results = []
        for source, frame in zip(sources, self._opened.session.detect(sources, upright), strict=True):
            if frame.problem:
                raise UserError(frame.problem)
            found = frame.detections.above(score)
            names = tuple(self.spec.labels[label] for label in found.labels)
            sides = frame.height, frame.width
            results.append(Found(found.boxes_xyxy, found.scores, found.labels, names, *sides, source, upright))
        return results

    def stream(
        self, source: str | Path | int, every: int = 1, score: float | None = None
    ) -> Generator[FoundFrame, None, None]:
        """Find objects in the frames of a video or camera, as they come.

        Args:
            source: a video file, the number of a camera, its device, or an address such as rtsp://...; of a camera or
                a stream the newest frame is taken each time.
            every: take every N-th frame.
            score: as in ``detect``.

        Raises:
            UserError: the source cannot be read, an argument is out of range, or, after the last frame that could be
                decoded, how the video broke and when.
        """
        least = self._opened.score_threshold(score)
        with closing(self._frames(source, every)) as frames:
            for frame, all_found in frames:
                yield FoundFrame(**self._told(frame, all_found.above(least)))

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
        """Follow objects through the frames of a video or camera, as they come: each has an id that stays.

        Args:
            source: as in ``stream``; or a list of pictures, as in ``detect``, which are frames of one camera.
            every: take every N-th frame of a video.
            score: as in ``detect``; from it on a detection is confident, and can begin a track.
            settings: of the tracker.
            lines, zones: where objects are counted, in pixels of a frame; ``frame.follower.counter`` holds the counts.
            point: of a box that counts there.

        Raises:
            UserError: as in ``stream``.
        """
        tracker = Tracker(self._opened.score_threshold(score), settings or TrackerSettings())
        follower = Follower(tracker, tuple(lines), tuple(zones), point)
        pictures = isinstance(source, list | tuple)
        with closing(self._pictures(source) if pictures else self._frames(source, every)) as frames:
            for frame, all_found in frames:
                tracked = follower.update(all_found, *frame.pixels.shape[:2])
                yield TrackedFrame(**self._told(frame, tracked.objects), ids=tracked.ids, follower=follower)

    def _frames(self, source: Any, every: int) -> Generator[tuple[VideoFrame, Detections], None, None]:
        if every < 1:
            raise UserError(f"every {every} is not at least 1")
        with open_video(str(source)) as video:
            with closing(detect_frames(self._opened.session, video, every)) as frames:
                yield from frames
            if video.problem:
                raise UserError(f"{video.name} broke: {video.report}")

    def _pictures(self, pictures: Any) -> Generator[tuple[VideoFrame, Detections], None, None]:
        upright = self.spec.input.exif != "ignore"
        for index, picture in enumerate(pictures):
            source = _source(picture, upright)
            (frame,) = self._opened.session.detect([source], upright)
            if frame.problem:
                raise UserError(frame.problem)
            pixels = read_rgb(source, Path("of bytes"), upright)
            yield VideoFrame(pixels, index, ticks=index, time_s=math.nan), frame.detections

    def _told(self, frame: VideoFrame, found: Detections) -> dict[str, Any]:
        height, width = frame.pixels.shape[:2]
        names = tuple(self.spec.labels[label] for label in found.labels)
        rows = {"boxes": found.boxes_xyxy, "scores": found.scores, "labels": found.labels, "names": names}
        place = {"image": frame.pixels, "index": frame.index, "time_s": frame.time_s}
        return {**rows, "height": height, "width": width, **place}

    def close(self) -> None:
        """Let the device go."""
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Detector {self.spec.name}, {self.file.path}, on {self.execution.actual}>"


def _source(picture: Any, upright: bool) -> ImageSource:
    """A picture in one of the forms that devices take.

    Raises:
        UserError: it is none.
    """
    if isinstance(picture, str | Path):
        return Path(picture)
    if isinstance(picture, bytes | bytearray | memoryview):
        return bytes(picture)
    if isinstance(picture, Image.Image):
        return pillow_rgb(picture, upright)
    if not isinstance(picture, np.ndarray):
        kind = type(picture).__name__
        raise UserError(f"a {kind} is no picture; give a path, bytes, a PIL image or an array of pixels")
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        shape = " x ".join(map(str, picture.shape))
        raise UserError(f"an array of {shape} {picture.dtype} is no picture; give height x width x 3 uint8, RGB")
    return picture


@dataclass(frozen=True)
class _Train(TrainConfig):
    quiet: bool = False
    """Show no progress."""


@takes(_Train)
def train(settings: _Train, given: Collection[str]) -> "TrainResult":
    """Train a detector, as ``mobiledet train`` does.

    Settings that are not given are those of ``recipe``, of the run in ``resume``, or of ``qat``, before the defaults.

    Returns:
        ``best`` is the checkpoint with the highest validation mAP, ``metrics`` that mAP, ``folder`` the run's.

    Raises:
        UserError: a setting is wrong, data are bad, or the loss is no longer finite.
        KeyboardInterrupt: Ctrl-C; the run can go on with ``resume``.
    """
    from mobiledet.training import engine
    from mobiledet.training.recipes import settings_before

    before = settings_before(settings.recipe, settings.qat, settings.resume)
    changes = {name: getattr(settings, name) for name in given if name != "quiet"}
    return engine.train(replace(before, **changes), quiet=settings.quiet)


@dataclass(frozen=True)
class _Export(ExportConfig):
    quiet: bool = False
    """Show no progress and no table."""


@takes_after(_Export)
def export(checkpoint: str | Path, settings: _Export) -> Bundle:
    """Turn a checkpoint into a bundle of model files, each checked against PyTorch, as ``mobiledet export`` does.

    Returns:
        the bundle; ``left_out`` tells the files that did not pass.

    Raises:
        UserError: the checkpoint, the pictures or the folder cannot be used, a converter is missing or fails, or no
            file passes. Nothing is written then.
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

    Without ``out`` nothing is written. Give it for what shall go on where it was interrupted.

    Returns:
        ``metrics`` (``AP``, ``AP50``, ...), ``latency`` (``p50_ms``, ...) and all that they come from.

    Raises:
        UserError: options contradict each other, the device refuses the file or gives other detections than at export,
            or the data are bad.
    """
    from mobiledet.evaluation.run import measure

    if settings.tool != "mobiledet":
        raise UserError(f"tool {settings.tool} gives no result; use mobiledet evaluate --tool {settings.tool}")
    opened = bundle if isinstance(bundle, Bundle) else open_bundle(settings.bundle)
    return measure(narrowed(settings, EvaluateConfig), opened, quiet=settings.quiet)


@dataclass(frozen=True)
class _Compare(CompareConfig):
    quiet: bool = False
    """Show no progress."""


@takes(_Compare)
def compare(settings: _Compare, given: Collection[str]) -> "Outcome":
    """Two versions of a detector on the same images, as ``mobiledet compare`` does.

    ``html``, ``json`` and ``markdown`` are written where they are given.

    Returns:
        ``scores`` (``map``, ``ap50``, ``classes``, each with ``old``, ``new``, ``low`` and ``high``), ``latency``,
        ``turned_right``, ``turned_wrong``, and ``worse``, which names the limits that the new version does not keep.

    Raises:
        UserError: one of the two cannot be used, or they have not seen the same images.
    """
    from mobiledet.versions.run import compare, write

    config = narrowed(settings, CompareConfig)
    outcome = compare(config, settings.quiet)
    write(outcome, config)
    return outcome


@takes_after(CardConfig)
def card(bundle: str | Path | Bundle, settings: CardConfig) -> str:
    """The model card of a bundle, as ``mobiledet card`` writes it.

    Without ``out`` nothing is written; with it the Markdown, and the page beside.

    Returns:
        its Markdown.

    Raises:
        UserError: the bundle or a result cannot be used, or no result is of this bundle.
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
    """Names for ``train(backbone=...)``, those of other packages included; ``mobiledet list`` tells their cost."""
    from mobiledet.backbones import BACKBONES

    return list(BACKBONES)


def list_detectors() -> list[str]:
    """Names for ``train(detector=...)``, those of other packages included."""
    from mobiledet.detectors import DETECTORS

    return list(DETECTORS)
