"""The images that a bundle is scored on: selected by options, read, and recorded with the score."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

from mobiledet.data.coco import load_coco
from mobiledet.data.config import Exif
from mobiledet.data.dataset import DetectionSet
from mobiledet.data.read import load_split
from mobiledet.errors import UserError
from mobiledet.evaluation.config import ScoredImages
from mobiledet.records import decode


def check_images(options: ScoredImages, otherwise: str = "") -> None:
    """Check options before any work.

    Args:
        options: the options of a command.
        otherwise: another possibility for the user, for the message.

    Raises:
        UserError: options contradict each other, or name no images.
    """
    if (options.images is None) != (options.annotations is None):
        raise UserError("--images and --annotations belong together; give both")
    if (options.data is None) == (options.images is None):
        raise UserError(f"give either --data or --images with --annotations{', ' if otherwise else ''}{otherwise}")
    if not 0 <= options.limit <= sys.maxsize:
        raise UserError(f"--limit {options.limit} is not in 0..{sys.maxsize}")


def load_images(options: ScoredImages, bundle_exif: Exif) -> DetectionSet:
    """Read images and ground truth.

    Args:
        options: options that ``check_images`` has accepted.
        bundle_exif: the rule for EXIF orientation of the bundle that is scored.

    Raises:
        UserError: the data set cannot be read or is invalid.
    """
    exif = bundle_exif if options.exif == "bundle" else options.exif
    if options.data is not None:
        dataset = load_split(options.data, options.split, options.on_bad_data, options, exif)
    else:
        assert options.images is not None
        assert options.annotations is not None
        dataset = load_coco(options.images, options.annotations, options.on_bad_data, exif)
    return dataset.first(options.limit)


def recorded_images(options: ScoredImages) -> dict[str, Any]:
    """The options that differ from the defaults, as JSON values, with which the same images can be read again."""
    fields = ((field, getattr(options, field.name)) for field in dataclasses.fields(ScoredImages))
    return {f.name: str(value) if isinstance(value, Path) else value for f, value in fields if value != f.default}


def images_of(recorded: Any, where: str) -> ScoredImages:
    """Read options that ``recorded_images`` returned.

    Raises:
        UserError: the values are invalid.
    """
    try:
        options: ScoredImages = decode(ScoredImages, recorded, "accuracy.source", filled=(ScoredImages,))
        check_images(options)
    except (ValueError, UserError) as error:
        raise UserError(f"{where} is a damaged result: {error}; evaluate again") from error
    return options
