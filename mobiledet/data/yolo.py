"""Reader for YOLO's format: ``data.yaml``, and ``images/`` beside ``labels/`` with a text file per image. Imports no
torch.

The format: https://docs.ultralytics.com/datasets/detect/
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mobiledet.data.dataset import LeftOut
from mobiledet.data.images import IMAGE_SUFFIXES
from mobiledet.data.listing import ListedBox, ListedImage, Listing, class_name_problem, shown
from mobiledet.errors import UserError

SPLITS = ("train", "val", "test")
NAME_FILES = ("classes.txt", "obj.names", "labels/classes.txt")
OUTSIDE = 1e-3  # coordinates may exceed 0..1 by this much because of rounding
PARTIAL_BOX, BOX, SHORTEST_POLYGON = 1, 4, 6  # how many numbers follow the class
Box = tuple[float, float, float, float]


class YoloReader:
    """A folder with a ``.yaml`` file that names classes and splits, or with ``images/``, ``labels/`` and
    classes.txt."""

    def splits(self, folder: Path) -> Sequence[str]:
        """Names of the splits in the ``.yaml`` file, or of the folders in ``labels/``."""
        described = _description(folder)
        if described:
            return [split for split in SPLITS if described[1].get(split)]
        if not (folder / "images").is_dir() or not (folder / "labels").is_dir() or not _name_file(folder):
            return []
        return sorted(path.name for path in (folder / "labels").iterdir() if path.is_dir()) or [""]

    def read(self, folder: Path, split: str) -> Listing:
        """See ``Reader.read``."""
        described = _description(folder)
        if described:
            source, values = described
            names = _names(source, values)
            root = _root(source, values)
            wanted = values[split] if isinstance(values[split], list) else [values[split]]
            images = [image for entry in wanted for image in _images_of(root, entry, source)]
            columns = _box_columns(source, values)
        else:
            source = _name_file(folder) or folder
            names = [line.strip() for line in _read_text(source).splitlines() if line.strip()]
            images = list(_images_of(folder, f"images/{split}", source))
            root, columns = folder, 0
        problem = class_name_problem(names)
        if problem:
            raise UserError(f"{source}: names{problem}")
        if not images:
            raise UserError(f"{source} lists no images for {split or 'images'}")
        listing = Listing(root, source, tuple(names), tuple(range(len(names))), in_shares=True)
        _fill(listing, sorted(set(images)), columns)
        return listing


def _description(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The .yaml file that describes a data set, and its content; None if there is none."""
    import yaml

    files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")], key=lambda path: (path.stem != "data", path.name))
    for path in files:
        try:
            values = yaml.safe_load(_read_text(path))
        except (yaml.YAMLError, RecursionError, ValueError, UserError) as error:
            if path.stem != "data":  # some other file
                continue
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            raise UserError(f"{path} is not YAML: {reason}") from error
        if isinstance(values, dict) and "names" in values and any(values.get(split) for split in SPLITS):
            return path, values
    return None


def _name_file(folder: Path) -> Path | None:
    return next((folder / name for name in NAME_FILES if (folder / name).is_file()), None)


def _names(source: Path, values: dict[str, Any]) -> list[Any]:
    """Class names in the order of their class ids, from a list or a mapping."""
    names = values["names"]
    if isinstance(names, dict):
        numbers = sorted(key for key in names if isinstance(key, int) and not isinstance(key, bool))
        if numbers != list(range(len(names))):
            raise UserError(f"{source}: names are not numbered 0, 1, 2, ...: {shown(list(names))}")
        names = [names[number] for number in numbers]
    if not isinstance(names, list) or not names:
        raise UserError(f"{source}: names = {shown(names)} is neither a list nor a mapping of class names")
    names = [str(name) if isinstance(name, int | float) else name for name in names]  # unquoted in the file
    count = values.get("nc", len(names))
    if count != len(names):
        raise UserError(f"{source}: nc is {shown(count)}, but names has {len(names)} classes")
    return names


def _root(source: Path, values: dict[str, Any]) -> Path:
    """The folder that the paths of the splits are relative to."""
    given = values.get("path") or "."
    if not isinstance(given, str):
        raise UserError(f"{source}: path = {shown(given)} is not a folder")
    # if the path does not exist, such as after the data set was moved, use the folder of the description
    return next((path for path in (source.parent / given,) if path.is_dir()), source.parent)


def _images_of(root: Path, entry: Any, source: Path) -> Iterator[Path]:
    """The images that an entry of a split refers to: all below a folder, those in a list of files, or a single one."""
    if not isinstance(entry, str) or not entry.strip() or "\0" in entry:
        raise UserError(f"{source}: {shown(entry)} is neither a folder nor a list of images")
    entry = entry.replace("\\", "/")
    without_parent = entry.removeprefix("../")  # Roboflow writes ../train/images for train/images
    tried = [root / entry, source.parent / entry, source.parent / without_parent]
    path = next((path for path in tried if path.exists()), None)
    if path is None:
        raise UserError(f"{source}: {root / entry} does not exist; correct the entry, or path")
    if path.is_dir():
        for child in path.rglob("*"):
            if _is_image(child):
                yield child
    elif path.suffix.lower() == ".txt":
        for line in _read_text(path).splitlines():
            if line.strip():
                yield _listed(line.strip().replace("\\", "/"), path, root)
    elif _is_image(path):
        yield path
    else:
        raise UserError(f"{source}: {path} is neither a folder, a list of images nor an image")


def _is_image(path: Path) -> bool:
    # macOS's ._NAME files are not images
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith("._") and path.is_file()


def _listed(line: str, listing: Path, root: Path) -> Path:
    """An image in a list of files, whose path is relative to the data set or to the list."""
    return next((path for path in (root / line, listing.parent / line) if path.is_file()), root / line)


def _box_columns(source: Path, values: dict[str, Any]) -> int:
    """How many key point values follow a box; 0 if there are no key points."""
    shape = values.get("kpt_shape")
    if shape is None:
        return 0
    if not isinstance(shape, list) or len(shape) != 2 or not all(isinstance(n, int) and 0 < n < 1000 for n in shape):
        raise UserError(f"{source}: kpt_shape = {shown(shape)} is not two numbers")
    return int(math.prod(shape))


def label_path(image: Path) -> Path:
    """The label file of an image: the last ``images/`` in its path becomes ``labels/``, and the suffix ``.txt``."""
    parts = list(image.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _fill(listing: Listing, images: list[Path], keypoint_numbers: int) -> None:
    without_labels = 0
    for image in images:
        name = _relative(image, listing.images_dir)
        if not image.is_file():
            listing.left_out.append(
                LeftOut("images without a file", f"{listing.annotations}: there is no file {image}")
            )
            continue
        labels = label_path(image)
        place = len(listing.images)
        listing.images.append(ListedImage(name, image, 0, 0, f"image {image}"))
        try:
            lines = _read_text(labels).splitlines() if labels.is_file() else None
        except UserError as error:
            listing.left_out.append(LeftOut("label files that cannot be read", str(error)))
            continue
        without_labels += lines is None
        for number, line in enumerate(lines or (), start=1):
            if not line.strip():
                continue
            where = (labels, number)
            found = _parse(line, len(listing.labels), keypoint_numbers)
            if isinstance(found, str):
                listing.left_out.append(LeftOut("malformed annotations", f"{labels}: line {number} {found}"))
            else:
                listing.boxes.append(ListedBox(place, found[0], found[1], float("nan"), False, where))
    listing.describe = lambda where: f"{where[0]}: line {where[1]}"
    if without_labels:
        listing.notes.append(f"{without_labels} of {len(images)} images have no label file and count as empty")


def _parse(line: str, classes: int, keypoint_numbers: int) -> tuple[int, Box] | str:
    """Class and box (x, y, width, height in fractions of the image) in a line, or an error message."""
    words = line.split()
    try:
        kind, *numbers = map(float, words)
    except ValueError:
        return f"is not numbers: {shown(line)}"
    if not (kind.is_integer() and 0 <= kind < classes):
        return f"has class {words[0][:20]}, but there are {classes}, from 0"
    count = len(numbers)
    if keypoint_numbers and count == BOX + keypoint_numbers:
        numbers, count = numbers[:BOX], BOX
    if count != BOX and (count < SHORTEST_POLYGON or count % 2):
        what = "a box with a score, as in predictions" if count == BOX + PARTIAL_BOX else "neither box nor polygon"
        return f"has {count} numbers after its class: {what}"
    if not all(-OUTSIDE <= value <= 1 + OUTSIDE for value in numbers):
        return f"has numbers that are not in 0..1: {shown(line)}; boxes are in fractions of the image"
    if count == BOX:
        x, y, width, height = numbers
        return int(kind), (x - width / 2, y - height / 2, width, height)
    xs, ys = numbers[::2], numbers[1::2]
    return int(kind), (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))


def _relative(path: Path, root: Path) -> str:
    try:
        return path.absolute().relative_to(root.absolute()).as_posix()
    except ValueError:
        return path.as_posix()


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    except ValueError as error:
        raise UserError(f"{path} is not text in UTF-8") from error
