"""The command ``mobiledet predict``: runs a bundle on images and videos, draws and prints the detections."""

import json
import re
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mobiledet.data.images import list_images, load_rgb, unsupported_images
from mobiledet.data.video import UnreadVideo, is_video, list_videos, short_name
from mobiledet.detections import Detections
from mobiledet.devices.base import Session
from mobiledet.drawing.pictures import contact_sheet, draw_detections, save_picture
from mobiledet.errors import UserError
from mobiledet.evaluation.config import PredictConfig
from mobiledet.evaluation.follow import Follower
from mobiledet.evaluation.opened import DEFAULT_SCORE, open_file, recommended_notice
from mobiledet.evaluation.predict_video import VideoPrediction, detections_json, predict_video, shown
from mobiledet.evaluation.tiles import parse_tiling
from mobiledet.files.atomic import atomic_file
from mobiledet.spec import ModelSpec

EXIT_UNREAD = 2  # as for other errors of the user
EXIT_TRUNCATED = 3  # as for an export that leaves files out
EXIT_SIGNAL = 128  # plus the number of the signal, as in shells
JPEG_SUFFIXES = (".jpg", ".jpeg")


@dataclass(frozen=True)
class Prediction:
    """The detections in one image.

    Attributes:
        image: path of the image.
        drawn: path of the image with boxes.
        detections: detections, boxes xyxy in pixels of the upright image.
        ids: track ids of the detections; None without tracking.
    """

    image: Path
    drawn: Path
    detections: Detections
    ids: list[int] | None = None


def run(config: PredictConfig) -> int:
    """The command ``mobiledet predict``; returns 2 if a source could not be read, 3 if a video was damaged."""
    _check(config)
    images, videos, unsupported = _sources(config.images, numbered=config.track)
    if not images and (config.sheet or not videos):
        raise UserError("no images; give at least one image, a folder of images, or a video without --sheet")
    if config.every != 1 and not videos:
        raise UserError(f"--every {config.every} is for videos, and none is given")
    targets = _targets([Path(f"{short_name(video)}.mp4") for video in videos])
    outputs = [config.out / name for target in targets for name in (target, target.with_suffix(".ndjson"))]
    _check_targets(outputs, [*images, *map(Path, videos)])
    tiling = parse_tiling(config.tiles, config.tile_overlap)
    with closing(open_file(config.bundle, config.file, config.device, threads=config.threads, tiling=tiling)) as opened:
        spec, session = opened.bundle.spec, opened.session
        score, point = opened.score_threshold(config.score), opened.file.operating_point
        if config.score is None and point:
            print(f"score thresholds of the bundle apply: {point}; --score overrides them", file=sys.stderr)
        follower = Follower.from_config(config, score) if config.track else None
        if follower and spec.nms.score > config.track_weak:
            print(f"--track-weak has no effect below {spec.nms.score}, the lowest score of the bundle", file=sys.stderr)
        predictions, problems = predict(session, spec, images, config.out, score, follower)
        found = []
        for video, target in zip(videos, targets, strict=True):
            drawn = config.out / target if config.write != "ndjson" else None
            ndjson = (config.out / target).with_suffix(".ndjson") if config.write != "video" else None
            try:
                # tracks do not continue from images or from another video
                own = Follower.from_config(config, score) if config.track else None
                found.append(predict_video(session, spec, video, drawn, ndjson, score, config.every, follower=own))
            except UnreadVideo as error:
                problems.append(str(error))
            if found and found[-1].stopped:
                break
    notice = "" if config.file else recommended_notice(opened.bundle, opened.file)
    if notice and (predictions or found):
        print(notice, file=sys.stderr)
    if config.sheet and predictions:
        with atomic_file(config.sheet) as temporary:
            sheet = contact_sheet([load_rgb(prediction.drawn) for prediction in predictions])
            Image.fromarray(sheet).save(temporary, format="JPEG", quality=88)
    if config.json:
        entries = [_to_json(prediction, spec) for prediction in predictions] + [_video_json(video) for video in found]
        if follower and predictions:
            entries.append({"pictures": len(predictions), **follower.summary(spec.labels)})
        print(json.dumps(entries, indent=1))
    else:
        _print(predictions, found, spec)
        for note in follower.notes(spec.labels) if follower and predictions else ():
            print(note)
    for other in unsupported:
        kind = "metadata file of macOS" if other.name.startswith("._") else f"format {other.suffix} is not supported"
        print(f"not read: {other} ({kind})", file=sys.stderr)
    return _report_problems(problems, found, len(images), len(videos))


def _report_problems(problems: Sequence[str], found: Sequence[VideoPrediction], images: int, videos: int) -> int:
    """Print all problems to standard error; returns the exit status. ``images`` and ``videos`` are counts."""
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems and images + videos > 1:
        things = "images and videos" if images and videos else "images" if images else "videos"
        print(f"{len(problems)} of {images + videos} {things} could not be read", file=sys.stderr)
    broken = [video.problem for video in found if video.problem]
    for problem in broken:
        print(f"error: {problem}; the frames before are kept", file=sys.stderr)
    if found and found[-1].stopped:
        remaining = videos - len(found)
        skipped = f", {remaining} videos were not started" if remaining else ""
        print(f"stopped; the frames before are kept{skipped}", file=sys.stderr)
        return EXIT_SIGNAL + found[-1].stopped
    return EXIT_UNREAD if problems else EXIT_TRUNCATED if broken else 0


def _check(config: PredictConfig) -> None:
    if config.score is not None and not 0 <= config.score <= 1:
        raise UserError(f"--score {config.score} is not in 0..1")
    if config.every < 1:
        raise UserError(f"--every {config.every} is not at least 1")
    if (config.line or config.zone) and not config.track:
        raise UserError(f"--{'line' if config.line else 'zone'} counts tracked objects; add --track")
    if config.track:  # before anything is loaded
        Follower.from_config(config, 0.0)


def _sources(given: Sequence[str], numbered: bool) -> tuple[list[Path], list[str], list[Path]]:
    """Find the images and videos, and the unsupported image files in folders.

    Args:
        given: arguments of the command line.
        numbered: whether to sort the images of a folder by the numbers in their names, like frames.

    Raises:
        UserError: a path does not exist, or a folder contains neither images nor videos.
    """
    images: list[Path] = []
    videos: list[str] = []
    unsupported: list[Path] = []
    for source in given:
        if is_video(source):
            videos.append(source)
            continue
        path = Path(source)
        inside = list_videos(path)
        videos += map(str, inside)
        unsupported += unsupported_images(path)
        try:
            images += sorted(list_images(path), key=_number) if numbered else list_images(path)
        except UserError:
            if not inside:
                raise
    return images, videos, unsupported


def _number(path: Path) -> list[tuple[int, str]]:
    """A sort key by which the name 9 comes before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def predict(
    session: Session,
    spec: ModelSpec,
    images: Sequence[Path],
    out: Path,
    score: float | np.ndarray = DEFAULT_SCORE,
    follower: Follower | None = None,
) -> tuple[list[Prediction], list[str]]:
    """Run a model on images and write each image with its boxes into a folder.

    A JPEG stays a JPEG, other formats become PNG; the name stays, with a number appended if two images share it.

    Args:
        session: a loaded model file.
        spec: its spec.
        images: paths of the images.
        out: output folder, created if missing.
        score: detections below it are left out.
        follower: tracks objects from image to image; it then decides which detections are shown, instead of ``score``.

    Returns:
        the detections, and an error message for each image that could not be read.

    Raises:
        UserError: an image would be overwritten, or the folder cannot be written.
    """
    targets = [out / name for name in _targets([Path(image.stem + _suffix(image)) for image in images])]
    _check_targets(targets, images)
    predictions, problems = [], []
    turns = spec.input.exif != "ignore"
    for frame, target in zip(session.detect(images, apply_orientation=turns), targets, strict=True):
        if frame.problem:
            problems.append(frame.problem)
            continue
        try:
            pixels = load_rgb(frame.image, apply_orientation=turns)
        except UserError as error:  # although the device could read it
            problems.append(str(error))
            continue
        found, ids = shown(frame.detections, score, follower, frame.height, frame.width)
        drawn = draw_detections(pixels, found, spec.labels, ids=ids, marks=follower.marks() if follower else ())
        save_picture(target, drawn)
        predictions.append(Prediction(frame.image, target, found, ids))
    return predictions, problems


def _suffix(image: Path) -> str:
    return ".jpg" if image.suffix.lower() in JPEG_SUFFIXES else ".png"


def _targets(wanted: Sequence[Path]) -> list[Path]:
    """The names, with a number appended where two would differ at most in letter case."""
    taken: set[str] = set()
    targets = []
    for target in wanted:
        name, number = target.name, 1
        while name.casefold() in taken:
            number += 1
            name = f"{target.stem}-{number}{target.suffix}"
        taken.add(name.casefold())
        targets.append(Path(name))
    return targets


def _check_targets(targets: Sequence[Path], sources: Sequence[Path]) -> None:
    """Raise ``UserError`` if a target would overwrite a source."""
    read = {source.resolve() for source in sources}
    for target in targets:
        if target.resolve() in read:
            raise UserError(f"{target} would overwrite an input image or video; choose another --out")


def _to_json(prediction: Prediction, spec: ModelSpec) -> dict[str, Any]:
    return {
        "image": str(prediction.image),
        "drawn": str(prediction.drawn),
        "detections": detections_json(prediction.detections, spec, prediction.ids),
    }


def _video_json(video: VideoPrediction) -> dict[str, Any]:
    return {
        "video": video.video,
        "drawn": str(video.drawn) if video.drawn else None,
        "ndjson": str(video.ndjson) if video.ndjson else None,
        "frames": video.frames,
        "objects": video.objects,
        "frames_per_second": round(video.frames_per_second, 2),
        "problem": video.problem,
        "notes": video.notes,
        **(video.followed or {}),
    }


def _print(predictions: Sequence[Prediction], videos: Sequence[VideoPrediction], spec: ModelSpec) -> None:
    for video in videos:
        written = ", ".join(str(path) for path in (video.drawn, video.ndjson) if path)
        rate = f"{video.frames_per_second:.1f} frames/s"
        print(f"{video.video}: {video.frames} frames, {video.objects} objects, {rate}, written: {written}")
        for note in video.notes:
            print(f"  {note}")
    if not predictions:
        return
    table = Table("image", "class", "score", "x1, y1, x2, y2")
    if predictions[0].ids is not None:
        table.add_column("track")
    for prediction in predictions:
        found = prediction.detections
        name = escape(prediction.image.name)
        if not len(found):
            table.add_row(name, "nothing")
        tracks: list[tuple[str, ...]]
        tracks = [()] * len(found) if prediction.ids is None else [(f"#{track}",) for track in prediction.ids]
        for label, score, box, track in zip(found.labels, found.scores, found.boxes_xyxy, tracks, strict=True):
            sides = ", ".join(f"{side:.0f}" for side in box)
            table.add_row(name, escape(spec.labels[label]), f"{score:.2f}", sides, *track)
            name = ""
    Console().print(table)
    print(f"{len(predictions)} images written to {predictions[0].drawn.parent}")
