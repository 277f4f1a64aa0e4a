"""Data sets in COCO's format: found, read, checked. No torch.

The format: https://cocodataset.org/#format-data. Boxes become xyxy in pixels, category ids contiguous labels.
"""

import dataclasses
import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mobiledet.data.config import OnBadData
from mobiledet.data.shapes import shapes_folder
from mobiledet.errors import UserError
from mobiledet.spec import read_json

BUILT_IN = "shapes"
SPLIT_LAYOUTS = (("{split}2017", "instances_{split}2017.json"), ("{split}", "instances_{split}.json"))

# A box may exceed its image by this many pixels, as some of real COCO's do by rounding; it is then clipped.
BORDER_TOLERANCE = 1.0

IMAGE_FIELDS = {"id": int, "file_name": str, "width": int, "height": int}
ANNOTATION_FIELDS = {"id": int, "image_id": int, "category_id": int, "bbox": list}
CATEGORY_FIELDS = {"id": int, "name": str}

Record = dict[str, Any]


@dataclass(frozen=True, eq=False)
class CocoImage:
    """One picture and its training targets.

    Attributes:
        id: the annotation file's own.
        path: the file.
        width, height: pixels, as the annotation file says.
        boxes_xyxy: N x 4 float32, pixels, inside the image, without crowd boxes.
        labels: N int64, positions in the data set's ``labels``.
    """

    id: int
    path: Path
    width: int
    height: int
    boxes_xyxy: NDArray[np.float32]
    labels: NDArray[np.int64]

    def boxes_in(self, height: int, width: int) -> NDArray[np.float32]:
        """The boxes in pixels of the picture when it is stretched to height x width."""
        scale = np.array((width / self.width, height / self.height) * 2)
        return np.asarray(self.boxes_xyxy * scale, np.float32)

    def size_problem(self, height: int, width: int, annotations: Path) -> str:
        """How the decoded picture contradicts ``annotations``, whose boxes are then of another picture; else empty."""
        if (height, width) == (self.height, self.width):
            return ""
        return f"image {self.path} is {width} x {height} pixels, but {annotations} says {self.width} x {self.height}"


@dataclass(frozen=True, eq=False)
class CocoDataset:
    """A set of pictures with annotated boxes.

    Attributes:
        name: for people, such as ``coco-val``.
        images_dir: where the pictures lie.
        annotations: the JSON file; scorers read it themselves, crowd boxes included.
        labels: class names, in the order of their category ids.
        category_ids: the file's own id of each label.
        images: all usable pictures in the file's order, also those without boxes.
        skipped: what ``on_bad_data="skip"`` dropped: one text each, naming file and reason.
    """

    name: str
    images_dir: Path
    annotations: Path
    labels: tuple[str, ...]
    category_ids: tuple[int, ...]
    images: tuple[CocoImage, ...]
    skipped: tuple[str, ...] = ()


def load_split(data: str | Path, split: str, on_bad_data: OnBadData = "error") -> CocoDataset:
    """Read one split of a folder in COCO's layout, or of the built-in set.

    Args:
        data: the folder, or the word ``shapes``.
        split: ``train`` or ``val``.
        on_bad_data: as in ``load_coco``.

    Raises:
        UserError: as ``find_split`` and ``load_coco``.
    """
    folder = shapes_folder() if data == BUILT_IN else Path(data)
    images_dir, annotations = find_split(folder, split)
    dataset = load_coco(images_dir, annotations, on_bad_data)
    name = data if data == BUILT_IN else folder.resolve().name
    return dataclasses.replace(dataset, name=f"{name}-{split}")


def find_split(folder: Path, split: str) -> tuple[Path, Path]:
    """The folder of pictures and the annotation file of a split: ``val2017/`` and
    ``annotations/instances_val2017.json``, or the same without the year.

    Raises:
        UserError: the folder, the pictures or the annotations are missing.
    """
    if not folder.is_dir():
        raise UserError(f"data folder {folder} does not exist; give a folder in COCO's layout or the word {BUILT_IN}")
    for images_name, annotations_name in SPLIT_LAYOUTS:
        annotations = folder / "annotations" / annotations_name.format(split=split)
        if annotations.is_file():
            images_dir = folder / images_name.format(split=split)
            if not images_dir.is_dir():
                raise UserError(f"folder {images_dir} with the images of {annotations} does not exist")
            return images_dir, annotations
    names = " nor ".join(name.format(split=split) for _, name in SPLIT_LAYOUTS)
    raise UserError(f"{folder} is not in COCO's layout: {folder / 'annotations'} holds neither {names}")


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Without this the collector scans millions of new objects again and again: twice the time on real COCO."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_no_garbage_collection()
def load_coco(images_dir: Path, annotations: Path, on_bad_data: OnBadData = "error") -> CocoDataset:
    """Read and check an annotation file of COCO's instance format.

    Args:
        images_dir: the folder that the file names are relative to.
        annotations: the JSON file.
        on_bad_data: with ``error`` the first bad image or annotation raises; with ``skip`` bad ones are left out and
            listed in ``skipped``. A picture's content is not read here.

    Raises:
        UserError: a folder or file is missing, the JSON is not COCO, nothing usable is left, or there is bad data:
            an image that is listed twice, lacks its file or points outside ``images_dir``; an annotation of an
            unknown image or category, or with a box that is empty or leaves its image by more than a pixel.
    """
    if not images_dir.is_dir():
        raise UserError(f"image folder {images_dir} does not exist")
    image_records, annotation_records, categories = _read_tables(annotations)
    labels, category_ids = _categories(annotations, categories)
    problems: list[str] = []

    listed_ids = {r["id"] for r in image_records if isinstance(r, dict) and isinstance(r.get("id"), int)}
    image_records = _usable_images(image_records, images_dir, annotations, problems)
    boxes, box_images, box_labels = _usable_boxes(
        annotation_records, image_records, listed_ids, category_ids, annotations, problems
    )
    if problems and on_bad_data == "error":
        total = f" ({len(problems)} bad entries in all)" if len(problems) > 1 else ""
        raise UserError(f"{problems[0]}; mend it or pass --on-bad-data skip{total}")
    if not image_records:
        raise UserError(f"{annotations} lists no usable image")

    ends = np.searchsorted(box_images, np.arange(1, len(image_records)))
    images = tuple(
        CocoImage(r["id"], images_dir / r["file_name"], r["width"], r["height"], image_boxes, image_labels)
        for r, image_boxes, image_labels in zip(
            image_records, np.split(boxes, ends), np.split(box_labels, ends), strict=True
        )
    )
    return CocoDataset(annotations.stem, images_dir, annotations, labels, category_ids, images, tuple(problems))


def _read_tables(path: Path) -> tuple[list[Any], list[Any], list[Any]]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} is not COCO: it holds a {type(content).__name__}, not an object")
    tables = []
    for key in ("images", "annotations", "categories"):
        if not isinstance(content.get(key), list):
            raise UserError(f"{path} is not COCO: it has no list {key!r}")
        tables.append(content[key])
    return tables[0], tables[1], tables[2]


def _categories(path: Path, records: list[Any]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    for index, record in enumerate(records):
        fault = _fault(record, CATEGORY_FIELDS)
        if fault:
            raise UserError(f"{path}: categories[{index}] {fault}")
        name = record["name"]
        if not name.strip() or name.splitlines() != [name]:  # labels.txt holds one name a line
            raise UserError(f"{path}: categories[{index}] has name = {name!r}; give it a name of one line")
    if not records:
        raise UserError(f"{path}: categories are empty")
    ordered = sorted(records, key=lambda record: record["id"])
    category_ids = tuple(record["id"] for record in ordered)
    if len(set(category_ids)) < len(category_ids):
        raise UserError(f"{path}: category ids repeat")
    return tuple(record["name"] for record in ordered), category_ids


def _usable_images(records: list[Any], images_dir: Path, path: Path, problems: list[str]) -> list[Record]:
    """The records whose file exists; for each other one a text is added to ``problems``."""
    files: dict[str, set[str]] = {}  # names in each folder: one scandir instead of a stat for each image
    seen: set[int] = set()
    usable = []
    for index, record in enumerate(records):
        reason = _fault(record, IMAGE_FIELDS) or _image_fault(record, images_dir, files, seen)
        if reason:
            name = f" ({record['file_name']})" if isinstance(record, dict) and "file_name" in record else ""
            problems.append(f"{path}: images[{index}]{name} {reason}")
        else:
            seen.add(record["id"])
            usable.append(record)
    return usable


def _image_fault(record: Record, images_dir: Path, files: dict[str, set[str]], seen: set[int]) -> str | None:
    if record["id"] in seen:
        return f"repeats image id {record['id']}"
    if record["width"] <= 0 or record["height"] <= 0:
        return f"has size {record['width']} x {record['height']}"
    name = record["file_name"]
    if os.path.isabs(name) or ".." in name.split("/"):
        return f"points outside {images_dir}"
    folder, base = os.path.split(name)
    if folder not in files:
        files[folder] = _file_names(images_dir / folder)
    return None if base in files[folder] else f"has no file in {images_dir}"


def _file_names(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except OSError:
        return set()


def _usable_boxes(
    records: list[Any],
    image_records: Sequence[Record],
    listed_ids: set[int],
    category_ids: tuple[int, ...],
    path: Path,
    problems: list[str],
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Check the annotations; for each bad one a text is added to ``problems``.

    Annotations of an image that is listed but not usable vanish with their image, without a text of their own.

    Returns:
        of the good ones that are no crowds, sorted by image: boxes (N x 4, xyxy), positions in ``image_records`` and
        labels.
    """
    faults = [_fault(record, ANNOTATION_FIELDS) or _box_fault(record["bbox"]) for record in records]
    if any(faults):
        problems += [f"{path}: annotations[{i}] {fault}" for i, fault in enumerate(faults) if fault]
        records = [record for record, fault in zip(records, faults, strict=True) if not fault]

    def report(bad: NDArray[np.bool_], reason: Callable[[Record], str]) -> None:
        for index in np.flatnonzero(bad):
            record = records[index]
            image = image_at[index]
            name = f" of {image_records[image]['file_name']}" if image >= 0 else ""
            problems.append(f"{path}: annotation {record['id']}{name} {reason(record)}")

    image_at = _positions([r["image_id"] for r in records], [r["id"] for r in image_records])
    label_at = _positions([r["category_id"] for r in records], category_ids)
    unlisted = np.array([r["image_id"] not in listed_ids for r in records], bool)
    report(unlisted, lambda r: f"belongs to image {r['image_id']}, which is not listed")
    report((image_at >= 0) & (label_at < 0), lambda r: f"has category {r['category_id']}, which is not listed")

    boxes = np.array([r["bbox"] for r in records], np.float64).reshape(-1, 4)
    empty = ~(np.isfinite(boxes).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1))
    report((image_at >= 0) & empty, lambda r: f"has a box without area, x y width height = {r['bbox']}")
    boxes[:, 2:] += boxes[:, :2]
    sizes = np.array([(r["width"], r["height"]) for r in image_records], np.float64).reshape(-1, 2)
    limits = sizes[image_at] if len(sizes) else np.zeros((len(records), 2))
    clipped = np.clip(boxes, 0, np.tile(limits, 2)).astype(np.float32)
    outside = (np.abs(clipped - boxes) > BORDER_TOLERANCE).any(axis=1) | (clipped[:, 2:] <= clipped[:, :2]).any(axis=1)
    report((image_at >= 0) & ~empty & outside, lambda r: f"has a box outside its image: {r['bbox']}")

    crowd = np.array([bool(r.get("iscrowd", 0)) for r in records], bool)
    good = np.flatnonzero((image_at >= 0) & (label_at >= 0) & ~empty & ~outside & ~crowd)
    order = good[np.argsort(image_at[good], kind="stable")]
    return clipped[order], image_at[order], label_at[order]


def _positions(values: Sequence[int], table: Sequence[int]) -> NDArray[np.int64]:
    """Where each value stands in ``table``; -1 for those that are not there."""
    position = {value: index for index, value in enumerate(table)}
    return np.array([position.get(value, -1) for value in values], np.int64)


def _fault(record: Any, fields: dict[str, type]) -> str | None:
    """What makes ``record`` no COCO entry, or None."""
    if not isinstance(record, dict):
        return f"is a {type(record).__name__}, not an object"
    for key, kind in fields.items():
        if key not in record:
            return f"has no {key!r}"
        if not isinstance(record[key], kind):
            return f"has {key} = {record[key]!r}, which is not of type {kind.__name__}"
    return None


def _box_fault(box: list[Any]) -> str | None:
    if len(box) == 4 and all(isinstance(value, int | float) for value in box):
        return None
    return f"has bbox = {box!r}, which is not four numbers"
