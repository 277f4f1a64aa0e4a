"""Checks that turn a reader's listing into a valid data set, with the same rules for every format. Imports no torch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mobiledet.data.config import Exif, OnBadData
from mobiledet.data.dataset import DetectionSet, LabelledImage, LeftOut, count_by_reason
from mobiledet.data.headers import Reading, choose_reading, read_headers
from mobiledet.data.listing import ListedImage, Listing, shown
from mobiledet.errors import UserError
from mobiledet.truth import Truth

# A box may exceed its image by this many pixels; some of COCO's boxes do because of rounding.
BORDER_TOLERANCE = 1.0
# If no box has a side of at least this many pixels, the annotations are not in pixels.
MIN_SIDE = 2.0
# Repeated boxes are reported; if more than this fraction of the boxes is repeated, they are bad data. COCO has a few.
MAX_REPEATED = 0.01

Mask = NDArray[np.bool_]


def checked(listing: Listing, name: str, exif: Exif = "auto", on_bad_data: OnBadData = "error") -> DetectionSet:
    """Check the image files and every box of a listing, and build the data set.

    Args:
        listing: images and boxes as a reader lists them.
        name: name of the data set.
        exif: see ``headers.choose_reading``.
        on_bad_data: with ``error`` the first bad entry raises; with ``skip`` bad entries are left out and listed.

    Raises:
        UserError: there is bad data, or no usable image.
    """
    problems, notes = list(listing.left_out), list(listing.notes)
    readings = _readings(listing, exif, problems, notes)
    place = _places(listing, readings, problems)
    boxes = _Boxes(listing, readings, place)
    _check_boxes(boxes, listing, problems, notes, on_bad_data)
    if problems and on_bad_data == "error":
        total = f" ({len(problems)} bad entries in all: {count_by_reason(problems)})" if len(problems) > 1 else ""
        raise UserError(f"{problems[0].text}; fix it or pass --on-bad-data skip{total}")
    kept = [index for index, reading in enumerate(readings) if reading and place[index] == index]
    if not kept:
        first = f"; the first problem: {problems[0].text}" if problems else ""
        raise UserError(f"{listing.annotations} lists no usable image{first}")
    _refuse_fractions(boxes, listing)
    images = _images(listing, readings, kept, boxes)
    return DetectionSet(
        name,
        listing.images_dir,
        listing.annotations,
        listing.labels,
        listing.category_ids,
        images,
        tuple(problems),
        tuple(notes),
    )


def _readings(listing: Listing, exif: Exif, problems: list[LeftOut], notes: list[str]) -> list[Reading | None]:
    """How each image is read; None for an image that cannot be used, which is added to ``problems``."""
    readings: list[Reading | None] = []
    fitting_both = turned = ignored = 0
    for image, header in zip(listing.images, read_headers([image.path for image in listing.images]), strict=True):
        if isinstance(header, UserError):
            problems.append(LeftOut("images that cannot be read", str(header)))
            readings.append(None)
            continue
        reading = choose_reading(header, image.width, image.height, exif)
        if isinstance(reading, str):
            problems.append(LeftOut("images whose size differs from the annotations", f"{image.where} {reading}"))
            readings.append(None)
            continue
        readings.append(reading)
        fitting_both += reading.fits_both
        turned += reading.apply_orientation and not reading.fits_both
        ignored += header.orientation != 1 and not reading.apply_orientation and not reading.fits_both
    notes += _exif_notes(exif, fitting_both, turned, ignored)
    return readings


def _exif_notes(exif: Exif, fitting_both: int, turned: int, ignored: int) -> list[str]:
    notes = []
    if fitting_both:
        done = "ignored" if exif == "ignore" else "applied"
        other = "apply" if exif == "ignore" else "ignore"
        notes.append(
            f"{fitting_both} images have an EXIF orientation, but their annotated size does not tell whether to apply "
            f"it (tags 2 to 4, square images, annotations without a size): it is {done}; use --exif {other} otherwise"
        )
    if turned or ignored:
        notes.append(
            f"{turned} images are rotated according to their EXIF orientation; for {ignored} the orientation "
            f"contradicts the annotations and is ignored (--exif {exif})"
        )
    return notes


def _places(listing: Listing, readings: list[Reading | None], problems: list[LeftOut]) -> NDArray[np.int64]:
    """For each listed image, the index of the image that gets its boxes: its own, for a file that is listed twice that
    of its first entry, or -1 if the image is not usable."""
    place = np.full(len(readings), -1, np.int64)
    first: dict[Path, int] = {}
    ids: dict[object, int] = {}
    for index, (image, reading) in enumerate(zip(listing.images, readings, strict=True)):
        if reading is None:
            continue
        if image.id in ids:
            problems.append(LeftOut("repeated image ids", f"{image.where} repeats image id {shown(image.id)}"))
            continue
        before = first.setdefault(image.path, index)
        place[index] = before
        if before == index:
            ids[image.id] = index
            continue
        other = listing.images[before]
        text = f"{image.where} is the same file as image {shown(other.id)}, under another id ({shown(image.id)})"
        problems.append(LeftOut("files listed twice", f"{text}; --on-bad-data skip merges the boxes of both"))
    return place


class _Boxes:
    """The listed boxes as columns, in pixels; ``good`` marks those that have no problem so far."""

    def __init__(self, listing: Listing, readings: list[Reading | None], place: NDArray[np.int64]) -> None:
        columns = list(zip(*listing.boxes, strict=True)) or [()] * 6
        listed_image = np.array(columns[0], np.int64)
        self.image = place[listed_image] if len(listed_image) else listed_image
        self.label = np.array(columns[1], np.int64)
        self.xywh = np.array(columns[2], np.float64).reshape(-1, 4)
        self.area = np.array(columns[3], np.float64)
        self.is_crowd = np.array(columns[4], np.bool_)
        self.where = columns[5]
        sizes = np.array([(r.width, r.height) if r else (0, 0) for r in readings], np.float64).reshape(-1, 2)
        self.size = sizes[self.image] if len(sizes) else np.zeros((0, 2))
        if listing.in_shares:
            self.xywh *= np.tile(self.size, 2)
        # boxes of an unusable image are dropped with it and not reported one by one
        self.good = self.image >= 0

    @property
    def xyxy(self) -> NDArray[np.float64]:
        return np.concatenate((self.xywh[:, :2], self.xywh[:, :2] + self.xywh[:, 2:]), axis=1)


def _check_boxes(
    boxes: _Boxes, listing: Listing, problems: list[LeftOut], notes: list[str], on_bad_data: OnBadData
) -> None:
    """Mark bad boxes, and add each to ``problems``."""

    def report(bad: Mask, reason: str, text: Callable[[int], str]) -> None:
        for index in np.flatnonzero(bad & boxes.good):
            problems.append(LeftOut(reason, f"{listing.describe(boxes.where[index])} {text(int(index))}"))
        boxes.good &= ~bad

    def xywh(index: int) -> str:
        return "[" + ", ".join(f"{value:.10g}" for value in boxes.xywh[index]) + "]"

    empty = ~(_all(np.isfinite(boxes.xywh)) & _all(boxes.xywh[:, 2:] > 0))
    report(empty, "boxes without area", lambda i: f"has a box without area, x y width height = {xywh(i)}")

    xyxy, limits = boxes.xyxy, np.tile(boxes.size, 2)
    within_a_pixel = _all((xyxy >= 0) & (xyxy <= 1)) & _all(boxes.size > MIN_SIDE)
    if not (within_a_pixel | ~boxes.good).all():  # otherwise the whole file is refused later
        report(
            within_a_pixel,
            "boxes within the first pixel",
            lambda i: f"has a box within the first pixel of its image, {xywh(i)}; is it in fractions (0..1)?",
        )

    clipped = np.clip(xyxy, 0, limits)
    outside = ~(_all(np.abs(clipped - xyxy) <= BORDER_TOLERANCE) & _all(clipped[:, 2:] > clipped[:, :2]))
    inside_as_corners = (boxes.xywh >= 0) & (boxes.xywh <= limits + BORDER_TOLERANCE)
    as_corners = _all(boxes.xywh[:, 2:] > boxes.xywh[:, :2]) & _all(inside_as_corners)
    likely_corners = (outside & boxes.good).any() and as_corners[outside & boxes.good].mean() > 0.9
    hint = "; does the file hold x1 y1 x2 y2? Then it would be inside" if likely_corners else ""
    report(outside, "boxes outside their image", lambda i: f"has a box outside its image: {xywh(i)}{hint}")

    _fill_areas(boxes, notes)
    _check_copies(boxes, report, notes, on_bad_data)


def _all(values: Mask) -> Mask:
    """For each row, whether all its values are true."""
    return np.asarray(values.all(axis=1), np.bool_)


def _fill_areas(boxes: _Boxes, notes: list[str]) -> None:
    """Use the area of the box if the annotation gives no area or an impossible one. COCO's size classes depend on the
    area, and its scorers ignore objects of more than 10^10 square pixels."""
    own = boxes.xywh[:, 2] * boxes.xywh[:, 3]
    given = ~np.isnan(boxes.area)
    largest = (boxes.size + 2 * BORDER_TOLERANCE).prod(axis=1)
    impossible = given & ~((boxes.area >= 0) & (boxes.area <= largest)) & boxes.good
    boxes.area = np.where(given & ~impossible, boxes.area, own)
    if impossible.any():
        notes.append(
            f"{impossible.sum()} annotations give an area that is negative or larger than their image; the area of the "
            "box is used"
        )


def _check_copies(
    boxes: _Boxes, report: Callable[[Mask, str, Callable[[int], str]], None], notes: list[str], on_bad_data: OnBadData
) -> None:
    """Report boxes that are repeated: same image, class and coordinates."""
    good = np.flatnonzero(boxes.good)
    if not len(good):
        return
    keys = np.column_stack((boxes.image[good], boxes.label[good], boxes.is_crowd[good], boxes.xywh[good]))
    _, first, inverse = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    earlier = np.full(len(boxes.good), -1, np.int64)
    earlier[good] = good[first[inverse.reshape(-1)]]
    copy: Mask = boxes.good & (earlier != np.arange(len(earlier)))
    if copy.sum() > MAX_REPEATED * len(good) or on_bad_data == "skip":
        report(copy, "repeated boxes", lambda i: "repeats the box and class of another annotation of its image")
    elif copy.any():
        notes.append(
            f"{copy.sum()} boxes are repeated (same image, class and box) and count as separate objects; "
            "--on-bad-data skip leaves the repeated ones out"
        )


def _refuse_fractions(boxes: _Boxes, listing: Listing) -> None:
    """Refuse a file all of whose boxes are tiny, because they are not in the unit that the format requires."""
    sides = boxes.xywh[boxes.good, 2:]
    if len(sides) and sides.max() < MIN_SIDE:
        largest = f"the largest side is {sides.max():.4g}"
        cause = (
            "were they divided by the size of the image twice?"
            if listing.in_shares
            else "are they in fractions of the image (0..1)? They must be in pixels"
        )
        raise UserError(
            f"{listing.annotations}: all {len(sides)} boxes are below {MIN_SIDE:g} pixels, {largest}; {cause}"
        )


def _images(
    listing: Listing, readings: list[Reading | None], kept: list[int], boxes: _Boxes
) -> tuple[LabelledImage, ...]:
    good = np.flatnonzero(boxes.good)
    order = good[np.argsort(boxes.image[good], kind="stable")]
    ends = np.searchsorted(boxes.image[order], kept[1:])
    parts = zip(
        *(np.split(column[order], ends) for column in (boxes.xywh, boxes.area, boxes.label, boxes.is_crowd)),
        strict=True,
    )
    images = []
    for index, columns in zip(kept, parts, strict=True):
        image: ListedImage = listing.images[index]
        reading = readings[index]
        assert reading is not None
        truth = Truth(*columns)
        images.append(
            LabelledImage(image.id, image.path, reading.width, reading.height, truth, reading.apply_orientation)
        )
    return tuple(images)
