"""``mobiledet predict``: what a bundle finds on pictures and in videos, drawn and told."""

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
from mobiledet.evaluation.opened import DEFAULT_SCORE, open_file
from mobiledet.evaluation.predict_video import VideoPrediction, detections_json, predict_video, shown
from mobiledet.evaluation.tiles import parse_tiling
from mobiledet.files.atomic import atomic_file
from mobiledet.spec import ModelSpec

EXIT_UNREAD = 2  # as for other mistakes of the user
EXIT_CUT_OFF = 3  # as of an export that leaves files out
EXIT_SIGNAL = 128  # and its number, as shells count
JPEG_SUFFIXES = (".jpg", ".jpeg")


@dataclass(frozen=True)
class Prediction:
    """What was found on one picture.

    Attributes:
        image: the picture.
        drawn: the same with the boxes.
        detections: boxes in pixels of the upright picture.
        ids: of the tracks that they are on, where objects are followed.
    """

    image: Path
    drawn: Path
    detections: Detections
    ids: list[int] | None = None


def run(config: PredictConfig) -> int:
    """The command ``mobiledet predict``; returns 2 if something could not be read, 3 if a video broke on its way."""
    _check(config)
    images, videos, passed_over = _sources(config.images, numbered=config.track)
    if not images and (config.sheet or not videos):
        raise UserError("no pictures; give at least one picture, a folder of pictures, or a video without --sheet")
    if config.every != 1 and not videos:
        raise UserError(f"--every {config.every} takes frames of a video, and none is given")
    targets = _targets([Path(f"{short_name(video)}.mp4") for video in videos])
    outputs = [config.out / name for target in targets for name in (target, target.with_suffix(".ndjson"))]
    _keep_sources(outputs, [*images, *map(Path, videos)])
    tiling = parse_tiling(config.tiles, config.tile_overlap)
    with closing(open_file(config.bundle, config.file, config.device, threads=config.threads, tiling=tiling)) as opened:
        spec, session = opened.bundle.spec, opened.session
        score, point = opened.shown_from(config.score), opened.file.operating_point
        if config.score is None and point:
            print(f"shown by the operating point of the bundle: {point}; --score overrides it", file=sys.stderr)
        follower = Follower.asked_for(config, score) if config.track else None
        if follower and spec.nms.score > config.track_weak:
            print(f"the bundle finds nothing below {spec.nms.score}, which --track-weak is", file=sys.stderr)
        predictions, problems = predict(session, spec, images, config.out, score, follower)
        found = []
        for video, target in zip(videos, targets, strict=True):
            drawn = config.out / target if config.write != "ndjson" else None
            ndjson = (config.out / target).with_suffix(".ndjson") if config.write != "video" else None
            try:
                # a video's objects have nothing to do with those of the pictures or of another video
                own = Follower.asked_for(config, score) if config.track else None
                found.append(predict_video(session, spec, video, drawn, ndjson, score, config.every, follower=own))
            except UnreadVideo as error:
                problems.append(str(error))
            if found and found[-1].stopped:
                break
    if config.sheet and predictions:
        with atomic_file(config.sheet) as temporary:
            sheet = contact_sheet([load_rgb(prediction.drawn) for prediction in predictions])
            Image.fromarray(sheet).save(temporary, format="JPEG", quality=88)
    if config.json:
        told = [_to_json(prediction, spec) for prediction in predictions] + [_video_json(video) for video in found]
        if follower and predictions:
            told.append({"pictures": len(predictions), **follower.summary(spec.labels)})
        print(json.dumps(told, indent=1))
    else:
        _print(predictions, found, spec)
        for note in follower.notes(spec.labels) if follower and predictions else ():
            print(note)
    for other in passed_over:
        kind = "what a Mac leaves beside a picture" if other.name.startswith("._") else f"pictures of {other.suffix}"
        print(f"not read: {other} ({kind})", file=sys.stderr)
    return _tell_problems(problems, found, len(images), len(videos))


def _tell_problems(problems: Sequence[str], found: Sequence[VideoPrediction], images: int, videos: int) -> int:
    """Say what went wrong, of so many pictures and videos; the exit status."""
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems and images + videos > 1:
        things = "pictures and videos" if images and videos else "pictures" if images else "videos"
        print(f"{len(problems)} of {images + videos} {things} could not be read", file=sys.stderr)
    broken = [video.problem for video in found if video.problem]
    for problem in broken:
        print(f"error: {problem}; what came before is kept", file=sys.stderr)
    if found and found[-1].stopped:
        left = videos - len(found)
        print("stopped; what came before is kept" + f", {left} videos were not begun" * bool(left), file=sys.stderr)
        return EXIT_SIGNAL + found[-1].stopped
    return EXIT_UNREAD if problems else EXIT_CUT_OFF if broken else 0


def _check(config: PredictConfig) -> None:
    if config.score is not None and not 0 <= config.score <= 1:
        raise UserError(f"--score {config.score} is not in 0..1")
    if config.every < 1:
        raise UserError(f"--every {config.every} is not at least 1")
    if (config.line or config.zone) and not config.track:
        raise UserError(f"--{'line' if config.line else 'zone'} counts objects that are followed; add --track")
    if config.track:  # before anything is loaded
        Follower.asked_for(config, 0.0)


def _sources(given: Sequence[str], numbered: bool) -> tuple[list[Path], list[str], list[Path]]:
    """Pictures, videos, and what lies among the pictures of folders and is not read.

    Args:
        given: as on the command line.
        numbered: sort the pictures of a folder by the numbers in their names, as frames are.

    Raises:
        UserError: a path does not exist, or a folder holds neither.
    """
    images: list[Path] = []
    videos: list[str] = []
    passed_over: list[Path] = []
    for source in given:
        if is_video(source):
            videos.append(source)
            continue
        path = Path(source)
        inside = list_videos(path)
        videos += map(str, inside)
        passed_over += unsupported_images(path)
        try:
            images += sorted(list_images(path), key=_number) if numbered else list_images(path)
        except UserError:
            if not inside:
                raise
    return images, videos, passed_over


def _number(path: Path) -> list[tuple[int, str]]:
    """A name's parts, so that 9 comes before 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def predict(
    session: Session,
    spec: ModelSpec,
    images: Sequence[Path],
    out: Path,
    score: float | np.ndarray = DEFAULT_SCORE,
    follower: Follower | None = None,
) -> tuple[list[Prediction], list[str]]:
    """Detect in pictures and write each with its boxes into a folder.

    A JPEG stays a JPEG, anything else becomes a PNG; the name stays, with a number where two pictures share it.

    Args:
        session: a loaded model file.
        spec: its description.
        images: the pictures.
        out: the folder, made if missing.
        score: detections below it are left out.
        follower: follows objects from picture to picture; it decides what is shown, in the place of ``score``.

    Returns:
        what was found, and a line for each picture that could not be read.

    Raises:
        UserError: a picture would be overwritten, or the folder cannot be written.
    """
    targets = [out / name for name in _targets([Path(image.stem + _suffix(image)) for image in images])]
    _keep_sources(targets, images)
    predictions, problems = [], []
    turns = spec.input.exif != "ignore"
    for frame, target in zip(session.detect(images, apply_orientation=turns), targets, strict=True):
        if frame.problem:
            problems.append(frame.problem)
            continue
        try:
            pixels = load_rgb(frame.image, apply_orientation=turns)
        except UserError as error:  # the device could
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
    """The names, with a number where two would be the same or differ in letter case alone."""
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


def _keep_sources(targets: Sequence[Path], sources: Sequence[Path]) -> None:
    """Refuse to write over what is to be read."""
    read = {source.resolve() for source in sources}
    for target in targets:
        if target.resolve() in read:
            raise UserError(f"{target} would overwrite a picture or video that is to be read; choose another --out")


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
    table = Table("picture", "found", "score", "x1, y1, x2, y2")
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
    print(f"{len(predictions)} pictures drawn in {predictions[0].drawn.parent}")
