"""Runs a bundle on a video or camera, and writes an annotated video and a line of JSON for each frame."""

import json
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

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
from mobiledet.progress import counting_bar
from mobiledet.spec import ModelSpec


@dataclass(frozen=True)
class VideoPrediction:
    """The result for one video.

    Attributes:
        video: the source as given, without a password.
        drawn, ndjson: the written files.
        frames: number of processed frames.
        objects: number of detections in all of them.
        seconds: duration of the processing.
        problem: where and why reading the video failed; the frames before are written.
        notes: remarks for the user.
        stopped: number of the signal that ended it early; 0 if none did, or for a camera, which ends that way.
        followed: summary of tracking and counting; None without tracking.
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
        """Throughput, reading and writing included."""
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
    """Run a model on a video until it ends or cannot be read further, or until Ctrl-C; the files are then complete.

    Args:
        session: a loaded model file.
        spec: its spec.
        source: as in ``open_video``.
        drawn: the video to write, MP4 with the original times of the frames; None writes none.
        ndjson: the file of JSON lines to write; None writes none.
        score: detections below it are left out; one value for all classes, or one for each.
        every: process every N-th frame.
        quiet: show no progress.
        follower: tracks objects; it then decides which detections are shown, instead of ``score``.

    Raises:
        UnreadVideo: the source cannot be read at all.
        UserError: a file cannot be written, or the device is gone. No file is left then.
    """
    started = time.perf_counter()
    frames = objects = 0
    with ExitStack() as stack:
        video = stack.enter_context(open_video(source))
        files = {path: stack.enter_context(atomic_file(path)) for path in (drawn, ndjson) if path}
        writer = stack.enter_context(closing(VideoWriter(files[drawn], video.time_base, video.rate))) if drawn else None
        lines = stack.enter_context(files[ndjson].open("w", encoding="utf-8")) if ndjson else None
        progress = stack.enter_context(counting_bar(quiet))
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
        problem=f"{video.name} is damaged: {video.report}" if video.problem else "",
        notes=(*_notes(video, writer, signals.number), *(follower.notes(spec.labels) if follower else ())),
        stopped=0 if video.live else signals.number,
        followed=follower.summary(spec.labels) if follower else None,
    )


def detect_frames(session: Session, video: Video, every: int) -> Generator[tuple[VideoFrame, Detections], None, None]:
    """Each frame with its detections; the session may read some frames in advance."""
    pending: deque[VideoFrame] = deque()

    def pixels() -> Iterator[ImageSource]:
        for frame in video.read(every):
            pending.append(frame)
            yield frame.pixels

    with closing(session.detect(pixels())) as results:
        for result in results:
            if result.problem:
                raise UserError(f"{video.name}: {result.problem}")
            yield pending.popleft(), result.detections


def shown(
    found: Detections, score: float | np.ndarray, follower: Follower | None, height: int, width: int
) -> tuple[Detections, list[int] | None]:
    """The detections of a frame that are shown: those above the score, or those on tracks, with the track ids."""
    if follower is None:
        return found.above(score), None
    tracked = follower.update(found, height, width)
    return tracked.objects, tracked.ids.tolist()


def frame_json(frame: VideoFrame, found: Detections, spec: ModelSpec, ids: Sequence[int] | None) -> dict[str, Any]:
    """One line of the JSON file: number and time of the frame, and its detections, boxes xyxy in upright pixels."""
    return {"frame": frame.index, "time_s": frame.time_s, "detections": detections_json(found, spec, ids)}


def detections_json(found: Detections, spec: ModelSpec, ids: Sequence[int] | None = None) -> list[dict[str, Any]]:
    """Detections in the JSON format of ``mobiledet predict``; ``ids`` are their track ids."""
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
        notes.append("the stream ended")
    if video.passed_over:
        notes.append(f"{video.passed_over} frames arrived while the detector was busy and were skipped")
    if writer and writer.scaled:
        notes.append(f"{writer.scaled} frames of another size than the first were scaled to it in the drawn video")
    return tuple(notes)
