"""What a bundle finds in a video or before a camera: an annotated video, and a line of JSON for each frame."""

import json
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mobiledet.data.images import ImageSource
from mobiledet.data.video import UnreadVideo, Video, VideoFrame, open_video
from mobiledet.detections import Detections
from mobiledet.devices.base import Session
from mobiledet.drawing.pictures import draw_detections
from mobiledet.drawing.video import VideoWriter
from mobiledet.errors import UserError
from mobiledet.evaluation.follow import Follower
from mobiledet.files.atomic import atomic_file
from mobiledet.processes.stop_signal import StopSignal
from mobiledet.spec import ModelSpec


@dataclass(frozen=True)
class VideoPrediction:
    """What was found in one video.

    Attributes:
        video: as it was given, without a password.
        drawn, ndjson: what was written of it.
        frames: that the detector has seen.
        objects: found in all of them.
        seconds: that it took.
        problem: where the video broke; what came before is written.
        notes: what else should be known of it.
        stopped: number of the signal that ended it early; 0 if none did, or if that is how a camera ends.
        followed: how many objects were followed and counted, where that was asked for.
    """

    video: str
    drawn: Path | None
    ndjson: Path | None
    frames: int
    objects: int
    seconds: float
    problem: str
    notes: tuple[str, ...]
    stopped: int
    followed: dict[str, Any] | None = None

    @property
    def frames_per_second(self) -> float:
        """Of the whole way from file to files."""
        return self.frames / self.seconds


def predict_video(
    session: Session,
    spec: ModelSpec,
    source: str,
    drawn: Path | None,
    ndjson: Path | None,
    score: float | np.ndarray,
    every: int = 1,
    quiet: bool = False,
    follower: Follower | None = None,
) -> VideoPrediction:
    """Detect in a video until it ends or breaks, or until Ctrl-C; the files are whole then.

    Args:
        session: a loaded model file.
        spec: its description.
        source: as in ``open_video``.
        drawn: the video to write, MP4 with the frames' own times; None writes none.
        ndjson: the lines to write; None writes none.
        score: detections below it are left out; one for all, or one for each class.
        every: takes every N-th frame.
        quiet: show no progress.
        follower: follows objects; it decides what is shown, in the place of ``score``.

    Raises:
        UnreadVideo: the source cannot be read at all.
        UserError: a file cannot be written, or the device is gone. Nothing is left of it then, either.
    """
    started = time.perf_counter()
    frames = objects = 0
    with ExitStack() as stack:
        video = stack.enter_context(open_video(source))
        files = {path: stack.enter_context(atomic_file(path)) for path in (drawn, ndjson) if path}
        writer = stack.enter_context(closing(VideoWriter(files[drawn], video.time_base, video.rate))) if drawn else None
        lines = stack.enter_context(files[ndjson].open("w", encoding="utf-8")) if ndjson else None
        progress = stack.enter_context(_progress(quiet))
        task = progress.add_task(video.name, total=-(-video.frames // every) or None)
        signals = stack.enter_context(StopSignal(lambda: setattr(video, "stop", True)))
        detected = stack.enter_context(closing(detect_frames(session, video, every)))
        for frame, all_found in detected:
            found, ids = shown(all_found, score, follower, *frame.pixels.shape[:2])
            if writer:
                marks = follower.marks() if follower else ()
                writer.add(draw_detections(frame.pixels, found, spec.labels, ids=ids, marks=marks), frame.ticks)
            if lines:
                counts = follower.counts_json(spec.labels) if follower else {}
                line = frame_json(frame, found, spec, ids) | counts
                lines.write(json.dumps(line, separators=(",", ":")) + "\n")
            frames, objects = frames + 1, objects + len(found)
            progress.update(task, completed=frames)
        if not frames:
            raise UnreadVideo(f"cannot read {video.name}: it was stopped before the first frame")
    return VideoPrediction(
        video=video.name,
        drawn=drawn,
        ndjson=ndjson,
        frames=frames,
        objects=objects,
        seconds=time.perf_counter() - started,
        problem=f"{video.name} broke: {video.report}" if video.problem else "",
        notes=(*_notes(video, writer, signals.number), *(follower.notes(spec.labels) if follower else ())),
        stopped=0 if video.live else signals.number,
        followed=follower.summary(spec.labels) if follower else None,
    )


def detect_frames(session: Session, video: Video, every: int) -> Generator[tuple[VideoFrame, Detections], None, None]:
    """Each frame with what the session finds in it; the session may ask for some frames in advance."""
    asked: deque[VideoFrame] = deque()

    def pixels() -> Iterator[ImageSource]:
        for frame in video.read(every):
            asked.append(frame)
            yield frame.pixels

    with closing(session.detect(pixels())) as results:
        for result in results:
            if result.problem:
                raise UserError(f"{video.name}: {result.problem}")
            yield asked.popleft(), result.detections


def shown(
    found: Detections, score: float | np.ndarray, follower: Follower | None, height: int, width: int
) -> tuple[Detections, list[int] | None]:
    """What of a frame's detections is shown: those above the score, or those on tracks, with their ids."""
    if follower is None:
        return found.above(score), None
    tracked = follower.update(found, height, width)
    return tracked.objects, tracked.ids.tolist()


def frame_json(frame: VideoFrame, found: Detections, spec: ModelSpec, ids: Sequence[int] | None) -> dict[str, Any]:
    """One line: the frame's place, its time, and what was found, boxes in pixels of the upright frame."""
    return {"frame": frame.index, "time_s": frame.time_s, "detections": detections_json(found, spec, ids)}


def detections_json(found: Detections, spec: ModelSpec, ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
    """Detections as ``mobiledet predict`` writes them, of pictures and of frames; with ids those of their tracks."""
    tracks: list[dict[str, Any]] = [{}] * len(found) if ids is None else [{"track_id": track} for track in ids]
    rows = zip(found.labels.tolist(), found.scores.tolist(), found.boxes_xyxy.tolist(), tracks, strict=True)
    return [
        track
        | {
            "label": spec.labels[label],
            "label_index": label,
            "category_id": spec.category_ids[label],
            "score": score,
            "box_xyxy": box,
        }
        for label, score, box, track in rows
    ]


def _notes(video: Video, writer: VideoWriter | None, signal: int) -> tuple[str, ...]:
    notes = []
    if video.live and not signal and not video.problem:
        notes.append("it ended by itself")
    if video.passed_over:
        notes.append(f"{video.passed_over} frames came while the detector was busy and were passed over")
    if writer and writer.scaled:
        notes.append(f"{writer.scaled} frames of another size than the first were scaled to it in the drawn video")
    return tuple(notes)


def _progress(quiet: bool) -> Progress:
    """A bar where the length is known, and how many frames are done, on standard error."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True, quiet=quiet))
