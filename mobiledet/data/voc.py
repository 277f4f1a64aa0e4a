"""Reader for Pascal VOC's format: an XML file for each image. Imports no torch.

The format: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/devkit_doc.pdf, section 9. Pixels are counted from 1, and
both corners belong to the box: x = xmin - 1, width = xmax - xmin + 1. Objects marked as difficult become crowds: they
are not trained on, and in scoring neither a detection nor a missing detection counts as an error.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from mobiledet.data.dataset import LeftOut
from mobiledet.data.images import IMAGE_SUFFIXES
from mobiledet.data.listing import (
    LARGEST_NUMBER,
    LARGEST_SIDE,
    ListedBox,
    ListedImage,
    Listing,
    class_name_problem,
    shown,
)
from mobiledet.errors import UserError

SETS = Path("ImageSets") / "Main"
XML_FOLDERS = ("Annotations", "annotations", "xmls", "labels")
IMAGE_FOLDERS = ("JPEGImages", "images", "Images", "img")
# VOC also has a list for each class, such as aeroplane_train.txt
CLASS_LIST = re.compile(r".+_(train|val|trainval|test)")
SPLITS = ("train", "valid", "validation", "val", "test")


class VocReader:
    """``Annotations``, ``JPEGImages`` and ``ImageSets/Main``; or folders of XML files with images beside them."""

    def splits(self, folder: Path) -> Sequence[str]:
        """Names of the image sets without those of single classes, or of the folders with XML files."""
        folder = _devkit(folder)
        lists = [path.stem for path in sorted((folder / SETS).glob("*.txt")) if not CLASS_LIST.fullmatch(path.stem)]
        if lists and _xml_folder(folder):
            return lists
        divided = [name for name in SPLITS if _xml_folder(folder / name)]
        return divided or ([""] if _xml_folder(folder) else [])

    def read(self, folder: Path, split: str) -> Listing:
        """See ``Reader.read``."""
        folder = _devkit(folder)
        listed = folder / SETS / f"{split}.txt"
        if split and not listed.is_file():
            folder = folder / split
        annotations = _xml_folder(folder)
        assert annotations is not None, "splits() has found it"
        images = next((folder / name for name in IMAGE_FOLDERS if (folder / name).is_dir()), annotations)
        names = _listed_names(listed) if split and listed.is_file() else _xml_names(annotations)
        listing = Listing(images, annotations, (), ())
        _fill(listing, names)
        return listing


def _devkit(folder: Path) -> Path:
    """The year's folder of a VOCdevkit, if it is the only one; else the folder itself."""
    for outer in (folder / "VOCdevkit", folder):
        years = [path for path in sorted(outer.glob("VOC*")) if (path / "Annotations").is_dir()]
        if len(years) == 1 and not (folder / "Annotations").is_dir():
            return years[0]
    return folder


def _xml_folder(folder: Path) -> Path | None:
    """The folder of the XML files; None if there are none."""
    for path in (*(folder / name for name in XML_FOLDERS), folder):
        if path.is_dir() and next(_xml_files(path), None):
            return path
    return None


def _xml_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob("*.xml") if not path.name.startswith("."))


def _xml_names(folder: Path) -> list[str]:
    return sorted(path.stem for path in _xml_files(folder))


def _listed_names(path: Path) -> list[str]:
    """The names in an image set: each line without a final 0, 1 or -1, which marks whether a class occurs."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: it is not readable or not text in UTF-8") from error
    return [re.sub(r"\s+-?[01]$", "", line.strip()) for line in lines if line.strip()]


def _fill(listing: Listing, names: list[str]) -> None:
    """Read the XML file of each image; the classes are all names that occur, in alphabetical order."""
    images = _Images(listing.images_dir)
    objects: list[tuple[int, str, tuple[float, float, float, float], bool, tuple[Path, int]]] = []
    without_size = 0
    for name in sorted(names):
        path = listing.annotations / f"{name}.xml"
        try:
            root = _parse(path)
        except UserError as error:
            listing.left_out.append(LeftOut("XML files that cannot be read", str(error)))
            continue
        image = images.find(name, (root.findtext("filename") or "").strip())
        if image is None:
            text = f"{path} has no image in {listing.images_dir}: there is neither {name}.* nor its <filename>"
            listing.left_out.append(LeftOut("images without a file", text))
            continue
        width, height = _number(root.findtext("size/width")), _number(root.findtext("size/height"))
        known = all(0 < side <= LARGEST_SIDE and side == int(side) for side in (width, height))
        without_size += not known
        place = len(listing.images)
        size = (int(width), int(height)) if known else (0, 0)
        listing.images.append(ListedImage(name, image, *size, f"{path}: image {image.name}"))
        for number, element in enumerate(root.findall("object"), start=1):
            found = _object(element)
            if isinstance(found, str):
                listing.left_out.append(LeftOut("malformed annotations", f"{path}: object {number} {found}"))
            else:
                objects.append((place, *found, (path, number)))
    listing.labels = tuple(sorted({kind for _, kind, *_ in objects}))
    listing.category_ids = tuple(range(1, len(listing.labels) + 1))
    problem = class_name_problem(listing.labels)
    if problem:
        raise UserError(f"{listing.annotations}: class{problem}")
    label_of = {label: index for index, label in enumerate(listing.labels)}
    listing.boxes = [
        ListedBox(place, label_of[kind], box, float("nan"), is_difficult, where)
        for place, kind, box, is_difficult, where in objects
    ]
    listing.describe = lambda where: f"{where[0]}: object {where[1]}"
    if without_size:
        listing.notes.append(f"{without_size} XML files give no image size; the size of the image file is used")


class _Images:
    """The images of a folder by name, with and without the suffix."""

    def __init__(self, folder: Path) -> None:
        self._by_name = {path.name: path for path in folder.iterdir() if path.is_file()}
        self._by_stem: dict[str, list[Path]] = {}
        for path in self._by_name.values():
            if path.suffix.lower() in IMAGE_SUFFIXES:
                self._by_stem.setdefault(path.stem, []).append(path)

    def find(self, stem: str, file_name: str) -> Path | None:
        """The image of an XML file: the only one with the same stem, or else the one in its <filename>."""
        named = self._by_name.get(file_name.replace("\\", "/").rpartition("/")[2])
        alike = self._by_stem.get(stem, [])
        return alike[0] if len(alike) == 1 else named


def _parse(path: Path) -> ElementTree.Element:
    """Parse an XML file. Entities are refused, because they can expand without limit or read other files.

    Raises:
        UserError: the file cannot be read, or is not a VOC XML file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    # these words would not be found in UTF-16, so it is refused, too; its text contains zero bytes
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content or b"\0" in content:
        raise UserError(f"{path} declares a document type or is in UTF-16; save it in UTF-8 without a document type")
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError, RecursionError) as error:
        raise UserError(f"{path} is not XML: {error}") from error
    if root.tag != "annotation":
        raise UserError(f"{path} is not VOC: it holds {shown(root.tag)}, not an annotation")
    return root


def _object(element: ElementTree.Element) -> tuple[str, tuple[float, float, float, float], bool] | str:
    """Class, box (x, y, width, height in pixels, counted from 0) and whether it is difficult; or an error message."""
    kind = (element.findtext("name") or "").strip()
    if not kind:
        return "has no name"
    if element.find("bndbox") is None:
        return f"({shown(kind)}) has no bndbox"
    corners = [_number(element.findtext(f"bndbox/{name}")) for name in ("xmin", "ymin", "xmax", "ymax")]
    if not all(abs(corner) <= LARGEST_NUMBER for corner in corners):
        texts = [element.findtext(f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax")]
        return f"({shown(kind)}) has xmin ymin xmax ymax = {shown(texts)}, which are not four numbers"
    difficult = (element.findtext("difficult") or "0").strip().lower()
    if difficult not in ("0", "1", "false", "true"):
        return f"({shown(kind)}) has difficult = {shown(difficult)}, which is neither 0 nor 1"
    x1, y1, x2, y2 = corners
    return kind, (x1 - 1, y1 - 1, x2 - x1 + 1, y2 - y1 + 1), difficult in ("1", "true")


def _number(text: str | None) -> float:
    """A number; NaN if the text is not a number."""
    try:
        return float(text) if text is not None else float("nan")
    except ValueError:
        return float("nan")
