"""Readers for COCO's JSON format, in the folder layouts of COCO and Roboflow. Imports no torch.

The format: https://cocodataset.org/#format-data.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mobiledet.data.check import checked
from mobiledet.data.config import Exif, OnBadData
from mobiledet.data.dataset import DetectionSet, LeftOut
from mobiledet.data.file_names import FolderIndex
from mobiledet.data.listing import LARGEST_SIDE, ListedBox, ListedImage, Listing, class_name_problem, is_number, shown
from mobiledet.errors import UserError
from mobiledet.processes.garbage import no_garbage_collection
from mobiledet.spec import read_json
from mobiledet.truth import ImageId

ROBOFLOW_FILE = "_annotations.coco.json"
# files of COCO's other tasks, in the same folder
OTHER_TASKS = ("captions_", "person_keypoints_", "panoptic_", "stuff_", "image_info_")
# annotation files in the data set's folder itself: of sets without splits, and of splits
WHOLE_FILES = ("annotations.json", "instances.json", "coco.json", "labels.json", "result.json", ROBOFLOW_FILE)
ROOT_SPLITS = re.compile(r"(instances_.+|train|val|valid|validation|test)(\d{4})?")
LARGEST_CATEGORY_ID = 2**31 - 1  # the apps read 32-bit integers
CROWD_WORDS = {"0": False, "1": True, "false": False, "true": True}

Record = dict[str, Any]


class CocoReader:
    """COCO's layout: ``annotations/instances_val2017.json``, and the images in ``val2017/``; see ``images_folder``."""

    def splits(self, folder: Path) -> Sequence[str]:
        """Names of the annotation files, without ``instances_``."""
        return sorted(_annotation_files(folder))

    def read(self, folder: Path, split: str) -> Listing:
        """See ``Reader.read``."""
        annotations = _annotation_files(folder)[split]
        tables = read_tables(annotations)
        return list_coco(images_folder(folder, split, annotations, tables[0]), annotations, tables)


class RoboflowReader:
    """Roboflow's layout: ``train/``, ``valid/`` and ``test/``, each with its images and ``_annotations.coco.json``."""

    def splits(self, folder: Path) -> Sequence[str]:
        """Names of the folders with an annotation file."""
        return sorted(path.parent.name for path in folder.glob(f"*/{ROBOFLOW_FILE}"))

    def read(self, folder: Path, split: str) -> Listing:
        """See ``Reader.read``."""
        annotations = folder / split / ROBOFLOW_FILE
        return list_coco(annotations.parent, annotations, read_tables(annotations))


def load_coco(
    images_dir: Path, annotations: Path, on_bad_data: OnBadData = "error", exif: Exif = "auto"
) -> DetectionSet:
    """Read and check an annotation file of COCO's instance format.

    Args:
        images_dir: the folder that the file names are relative to.
        annotations: the JSON file.
        on_bad_data, exif: see ``check.checked``.

    Raises:
        UserError: a folder or file is missing, the JSON is not COCO's, no image is usable, or there is bad data.
    """
    if not images_dir.is_dir():
        raise UserError(f"image folder {images_dir} does not exist")
    listing = list_coco(images_dir, annotations, read_tables(annotations))
    return checked(listing, annotations.stem, exif, on_bad_data)


def _annotation_files(folder: Path) -> dict[str, Path]:
    """The annotation files of a folder by the names of their splits."""
    files = {}
    for path in sorted((folder / "annotations").glob("*.json")):
        if not path.name.startswith((".", *OTHER_TASKS)):
            files[path.stem.removeprefix("instances_")] = path
    if not files:
        for path in sorted(folder.glob("*.json")):
            if ROOT_SPLITS.fullmatch(path.stem):
                files[path.stem.removeprefix("instances_")] = path
    whole = [folder / name for name in WHOLE_FILES if (folder / name).is_file()]
    if not files and whole:
        files[""] = whole[0]
    return files


def images_folder(folder: Path, split: str, annotations: Path, images: list[Any]) -> Path:
    """The folder that the file names of a split are relative to: the first one that contains the first listed file.

    Raises:
        UserError: no such folder exists.
    """
    plain = split.rstrip("0123456789")
    names = [f"{where}{name}" for name in dict.fromkeys((split, plain)) if name for where in ("", "images/")]
    candidates = [folder / name for name in (*names, "images", "JPEGImages", "data", "img")]
    candidates = [path for path in candidates if path.is_dir()]
    listed = [record.get("file_name") for record in images if isinstance(record, dict)]
    first = next((name for name in listed if isinstance(name, str)), "")
    for path in (*candidates, folder):
        if first and FolderIndex(path).find(first)[0]:
            return path
    if candidates:
        return candidates[0]
    raise UserError(
        f"folder {folder / (split or 'images')} with the images of {annotations} does not exist, and {first!r}, the "
        f"first of them, is not in {folder}"
    )


def read_tables(path: Path) -> tuple[list[Any], list[Any], list[Any]]:
    """The lists of images, annotations and categories in a COCO file.

    Raises:
        UserError: the file is not a COCO file.
    """
    with no_garbage_collection():
        content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} is not COCO: it holds a {type(content).__name__}, not an object")
    tables = []
    for key in ("images", "annotations", "categories"):
        if not isinstance(content.get(key), list):
            raise UserError(f"{path} is not COCO: it has no list {key!r}")
        tables.append(content[key])
    return tables[0], tables[1], tables[2]


@no_garbage_collection()
def list_coco(images_dir: Path, annotations: Path, tables: tuple[list[Any], list[Any], list[Any]]) -> Listing:
    """List the well-formed entries of a COCO file.

    Raises:
        UserError: its categories are not usable.
    """
    image_records, box_records, categories = tables
    notes: list[str] = []
    if annotations.name == ROBOFLOW_FILE:
        categories, notes = _without_group(categories, box_records)
    labels, category_ids = _categories(annotations, categories)
    listing = Listing(images_dir, annotations, labels, category_ids, notes=notes)
    listed = _add_images(listing, image_records)
    _add_boxes(listing, box_records, listed)
    return listing


def _without_group(categories: list[Any], boxes: list[Any]) -> tuple[list[Any], list[str]]:
    """Drop the category that Roboflow adds for the group of all classes. It has no boxes, and its name may equal that
    of a class."""
    used = {
        box.get("category_id") for box in boxes if isinstance(box, dict) and _id(box.get("category_id")) is not None
    }
    groups = {category.get("supercategory") for category in categories if isinstance(category, dict)}
    for index, category in enumerate(categories):
        if (
            isinstance(category, dict)
            and category.get("supercategory") == "none"
            and category.get("name") in groups
            and category.get("id") not in used
            and len(categories) > 1
        ):
            note = f"category {shown(category.get('name'))} is Roboflow's group of all classes and is left out"
            return categories[:index] + categories[index + 1 :], [note]
    return categories, []


def _categories(path: Path, records: list[Any]) -> tuple[tuple[str, ...], tuple[int, ...]]:
    if not records:
        raise UserError(f"{path}: categories are empty")
    for index, record in enumerate(records):
        fault = _fault(record, ("id", "name"))
        if not fault and not isinstance(_id(record["id"]), int):
            fault = f"has id = {shown(record['id'])}, which is not an integer"
        if not fault and abs(_id(record["id"])) > LARGEST_CATEGORY_ID:  # type: ignore[arg-type]
            fault = f"has id = {shown(record['id'])}, beyond 32 bits; number the classes from 1"
        if fault:
            raise UserError(f"{path}: categories[{index}] {fault}")
    problem = class_name_problem([record["name"] for record in records])
    if problem:
        raise UserError(f"{path}: categories{problem}")
    ordered = sorted(records, key=lambda record: int(record["id"]))
    category_ids = tuple(int(record["id"]) for record in ordered)
    if len(set(category_ids)) < len(category_ids):
        raise UserError(f"{path}: category ids repeat")
    return tuple(record["name"] for record in ordered), category_ids


def _add_images(listing: Listing, records: list[Any]) -> dict[ImageId, int]:
    """Add the images whose file exists.

    Returns:
        the position of each listed image by its id; -1 for an image that is not usable.
    """
    index_of = FolderIndex(listing.images_dir)
    listed: dict[ImageId, int] = {}
    for index, record in enumerate(records):
        name = f" ({shown(record['file_name'])[1:-1]})" if isinstance(record, dict) and "file_name" in record else ""
        where = f"{listing.annotations}: images[{index}]{name}"
        fault = _fault(record, ("id", "file_name", "width", "height"))
        reason, path = "malformed images", None
        image_id = _id(record.get("id")) if isinstance(record, dict) else None
        if not fault and image_id is None:
            fault = f"has id = {shown(record['id'])}, which is neither an integer nor a string"
        if not fault and not isinstance(record["file_name"], str):
            fault = f"has file_name = {shown(record['file_name'])}, which is not a string"
        if not fault:
            width, height = _side(record["width"]), _side(record["height"])
            if not width or not height:
                fault = f"has size {shown(record['width'])} x {shown(record['height'])}"
        if not fault:
            path, fault = index_of.find(record["file_name"])
            reason = "images without a file"
        if fault or path is None or image_id is None:
            listing.left_out.append(LeftOut(reason, f"{where} {fault}"))
            if image_id is not None:
                listed.setdefault(image_id, -1)
            continue
        listed.setdefault(image_id, len(listing.images))
        listing.images.append(ListedImage(image_id, path, width, height, where))
    return listed


def _add_boxes(listing: Listing, records: list[Any], listed: dict[ImageId, int]) -> None:
    label_of = {category_id: label for label, category_id in enumerate(listing.category_ids)}
    path = listing.annotations

    def describe(index: int) -> str:
        record = records[index]
        image = listed[_id(record["image_id"])]  # type: ignore[index]
        name = Path(listing.images[image].path).name if image >= 0 else shown(record["image_id"])
        return f"{path}: annotation {shown(record.get('id', f'[{index}]'))} of {name}"

    listing.describe = describe
    nan = float("nan")
    for index, record in enumerate(records):
        fault = _fault(record, ("image_id", "category_id", "bbox")) or _box_fault(record["bbox"])
        crowd = None if fault else _crowd(record.get("iscrowd"))
        if not fault and crowd is None:
            fault = f"has iscrowd = {shown(record['iscrowd'])}, which is neither 0 nor 1"
        if fault:
            listing.left_out.append(LeftOut("malformed annotations", f"{path}: annotations[{index}] {fault}"))
            continue
        image_id, category_id = _id(record["image_id"]), _id(record["category_id"])
        image = listed.get(image_id) if image_id is not None else None
        if image is None:
            where = f"{path}: annotation {shown(record.get('id', f'[{index}]'))}"
            hint = _other_type(image_id, listed)
            text = f"{where} belongs to image {shown(record['image_id'])}, which is not listed{hint}"
            listing.left_out.append(LeftOut("annotations of unlisted images", text))
            continue
        if image < 0:  # its image is not usable
            continue
        label = label_of.get(category_id) if isinstance(category_id, int) else None
        if label is None:
            text = f"{describe(index)} has category {shown(record['category_id'])}, which is not listed"
            listing.left_out.append(LeftOut("annotations of unlisted categories", text))
            continue
        area = record.get("area")
        number = float(area) if is_number(area) else nan if area is None else -1.0  # -1: not a number
        listing.boxes.append(ListedBox(image, label, tuple(record["bbox"]), number, bool(crowd), index))


def _other_type(image_id: ImageId | None, listed: dict[ImageId, int]) -> str:
    """A hint for an annotation whose image id is a string while the image's id is a number, or the reverse."""
    if isinstance(image_id, str) and image_id.isdecimal() and len(image_id) < 40 and int(image_id) in listed:
        return f"; image {image_id} is, whose id is a number"
    if isinstance(image_id, int) and str(image_id) in listed:
        return f"; image '{image_id}' is, whose id is a string"
    return ""


def _fault(record: Any, keys: Sequence[str]) -> str:
    """Why ``record`` is not a valid entry; empty if it is."""
    if not isinstance(record, dict):
        return f"is a {type(record).__name__}, not an object"
    return next((f"has no {key!r}" for key in keys if key not in record), "")


def _id(value: Any) -> ImageId | None:
    """A valid id, a string or an integer of any size; None for anything else."""
    if isinstance(value, int | str) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else None


def _side(value: Any) -> int:
    """A valid image side in pixels; 0 for anything else."""
    number = _id(value)
    return number if isinstance(number, int) and 0 < number <= LARGEST_SIDE else 0


def _crowd(value: Any) -> bool | None:
    """Whether an annotation is a crowd; None for an invalid value."""
    if value is None:
        return False
    if isinstance(value, str):
        return CROWD_WORDS.get(value.strip().lower())
    return bool(value) if isinstance(value, int | float) and value in (0, 1) else None


def _box_fault(box: Any) -> str:
    if not isinstance(box, list):
        return f"has bbox = {shown(box)}, which is not of type list"
    if len(box) == 4 and all(is_number(value) or value in (float("inf"), float("-inf")) for value in box):
        return ""
    return f"has bbox = {shown(box)}, which is not four numbers"
