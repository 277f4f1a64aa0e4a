"""``mobiledet predict``: what a bundle finds on pictures, drawn and told."""

import json
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mobiledet.atomic import atomic_file
from mobiledet.data.images import list_images, load_rgb, unread_pictures
from mobiledet.detections import Detections
from mobiledet.devices.base import Session
from mobiledet.drawing.pictures import contact_sheet, draw_detections, save_picture
from mobiledet.errors import UserError
from mobiledet.evaluation.config import PredictConfig
from mobiledet.evaluation.opened import open_file
from mobiledet.spec import ModelSpec

EXIT_BAD_PICTURE = 2  # as for other mistakes of the user
JPEG_SUFFIXES = (".jpg", ".jpeg")


@dataclass(frozen=True)
class Prediction:
    """What was found on one picture.

    Attributes:
        image: the picture.
        drawn: the same with the boxes.
        detections: boxes in pixels of the upright picture.
    """

    image: Path
    drawn: Path
    detections: Detections


def run(config: PredictConfig) -> int:
    """The command ``mobiledet predict``; returns 2 if a picture could not be read."""
    if not 0 <= config.score <= 1:
        raise UserError(f"--score {config.score} is not in 0..1")
    images = [image for path in config.images for image in list_images(path)]
    passed_over = [other for path in config.images for other in unread_pictures(path)]
    if not images:
        raise UserError("no pictures; give at least one picture or a folder of pictures")
    with closing(open_file(config.bundle, config.file, config.device, threads=config.threads)) as opened:
        spec = opened.bundle.spec
        predictions, problems = predict(opened.session, spec, images, config.out, config.score)
    if config.sheet and predictions:
        with atomic_file(config.sheet) as temporary:
            sheet = contact_sheet([load_rgb(prediction.drawn) for prediction in predictions])
            Image.fromarray(sheet).save(temporary, format="JPEG", quality=88)
    if config.json:
        print(json.dumps([_to_json(prediction, spec) for prediction in predictions], indent=1))
    elif predictions:
        _print(predictions, spec)
    for other in passed_over:
        kind = "what a Mac leaves beside a picture" if other.name.startswith("._") else f"pictures of {other.suffix}"
        print(f"not read: {other} ({kind})", file=sys.stderr)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        print(f"{len(problems)} of {len(images)} pictures could not be read", file=sys.stderr)
    return EXIT_BAD_PICTURE if problems else 0


def predict(
    session: Session, spec: ModelSpec, images: Sequence[Path], out: Path, score: float = 0.3
) -> tuple[list[Prediction], list[str]]:
    """Detect in pictures and write each with its boxes into a folder.

    A JPEG stays a JPEG, anything else becomes a PNG; the name stays, with a number where two pictures share it.

    Args:
        session: a loaded model file.
        spec: its description.
        images: the pictures.
        out: the folder, made if missing.
        score: detections below it are left out.

    Returns:
        what was found, and a line for each picture that could not be read.

    Raises:
        UserError: a picture would be overwritten, or the folder cannot be written.
    """
    targets = _targets(images, out)
    predictions, problems = [], []
    turns = spec.input.exif != "ignore"
    for frame, target in zip(session.detect(images, apply_orientation=turns), targets, strict=True):
        if frame.problem:
            problems.append(frame.problem)
            continue
        found = frame.detections.above(score)
        try:
            pixels = load_rgb(frame.image, apply_orientation=turns)
        except UserError as error:  # the device could
            problems.append(str(error))
            continue
        drawn = draw_detections(pixels, found, spec.labels)
        save_picture(target, drawn)
        predictions.append(Prediction(frame.image, target, found))
    return predictions, problems


def _targets(images: Sequence[Path], out: Path) -> list[Path]:
    """A file in ``out`` for each picture, no two the same even where letter case does not count."""
    sources = {image.resolve() for image in images}
    taken: set[str] = set()
    targets = []
    for image in images:
        suffix = ".jpg" if image.suffix.lower() in JPEG_SUFFIXES else ".png"
        name, number = f"{image.stem}{suffix}", 1
        while name.casefold() in taken:
            number += 1
            name = f"{image.stem}-{number}{suffix}"
        taken.add(name.casefold())
        targets.append(out / name)
        if targets[-1].resolve() in sources:
            raise UserError(
                f"{targets[-1]} would overwrite a picture that is to be read; choose another folder by --out"
            )
    return targets


def _to_json(prediction: Prediction, spec: ModelSpec) -> dict[str, Any]:
    found = prediction.detections
    rows = zip(found.labels.tolist(), found.scores.tolist(), found.boxes_xyxy.tolist(), strict=True)
    return {
        "image": str(prediction.image),
        "drawn": str(prediction.drawn),
        "detections": [
            {"label": spec.labels[k], "category_id": spec.category_ids[k], "score": score, "box_xyxy": box}
            for k, score, box in rows
        ],
    }


def _print(predictions: Sequence[Prediction], spec: ModelSpec) -> None:
    table = Table("picture", "found", "score", "x1, y1, x2, y2")
    for prediction in predictions:
        found = prediction.detections
        name = escape(prediction.image.name)
        if not len(found):
            table.add_row(name, "nothing")
        for label, score, box in zip(found.labels, found.scores, found.boxes_xyxy, strict=True):
            table.add_row(name, escape(spec.labels[label]), f"{score:.2f}", ", ".join(f"{side:.0f}" for side in box))
            name = ""
    Console().print(table)
    print(f"{len(predictions)} pictures drawn in {predictions[0].drawn.parent}")
