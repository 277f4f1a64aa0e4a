"""``mobiledet convert-data``: checks a data set and writes it in another format."""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from mobiledet.data.dataset import DetectionSet, LabelledImage, count_by_reason
from mobiledet.data.images import load_rgb
from mobiledet.data.read import find_source, load_split
from mobiledet.errors import UserError
from mobiledet.files.atomic import atomic_folder
from mobiledet.overview.config import ConvertConfig
from mobiledet.overview.parts import parts_to_show

MARKER = "convert-data.json"  # names the source, and marks the folder as one that may be replaced
Name = Callable[[LabelledImage], str]


def run(config: ConvertConfig) -> None:
    """The command ``mobiledet convert-data``."""
    source = find_source(config.source, config)
    if config.out.exists() and config.overwrite and not (config.out / MARKER).is_file():
        raise UserError(f"{config.out} was not written by convert-data, so it is not replaced; choose another name")
    roles, _ = parts_to_show(source, config)
    parts = {_plain(role): load_split(config.source, role, config.on_bad_data, config, config.exif) for role in roles}
    parts = _with_common_classes(parts)
    with atomic_folder(config.out, config.overwrite) as folder:
        lost = WRITERS[config.to](folder, parts, config.link)
        made = {"source": str(source.folder.absolute()), "format": source.format, "parts": list(parts)}
        (folder / MARKER).write_text(json.dumps(made) + "\n", encoding="utf-8")
    for name, part in parts.items():
        print(f"{name}: {len(part.images)} images, {sum(part.objects)} boxes, {part.crowds} crowds")
        if part.left_out:
            print(f"  left out {len(part.left_out)}: {count_by_reason(part.left_out)}, such as {part.left_out[0].text}")
        for note in part.notes:
            print(f"  note: {note}")
    for line in lost:
        print(line)
    print(f"written as {config.to}: {config.out}")


def _plain(role: str) -> str:
    """The usual name of a split: without COCO's year, and ``val`` for all names of the validation split."""
    name = role.removesuffix("2017") or "train"
    return {"valid": "val", "validation": "val", "trainval": "train", "default": "train"}.get(name, name)


def _with_common_classes(parts: Mapping[str, DetectionSet]) -> dict[str, DetectionSet]:
    """Give all splits the same classes: those of all splits, in order of appearance. Ids are kept unless they clash."""
    labels: dict[str, int] = {}
    for part in parts.values():
        for name, number in zip(part.labels, part.category_ids, strict=True):
            if name not in labels:
                labels[name] = number if number not in labels.values() else max(labels.values()) + 1
    return {name: part.relabelled(tuple(labels), tuple(labels.values())) for name, part in parts.items()}


def write_coco(folder: Path, parts: Mapping[str, DetectionSet], link: bool) -> list[str]:
    """Write ``annotations/instances_NAME.json`` and ``NAME/``; nothing is lost."""
    (folder / "annotations").mkdir()
    turned = 0
    for name, part in parts.items():
        names = _file_names(part)
        turned += _write_images(part, names, folder / name, link)
        images = [
            {"id": number, "file_name": names[number - 1], "width": image.width, "height": image.height}
            for number, image in enumerate(part.images, start=1)
        ]
        annotations: list[dict[str, object]] = []
        for number, image in enumerate(part.images, start=1):
            truth = image.truth
            columns = (truth.boxes_xywh, truth.areas, truth.labels, truth.is_crowd)
            for box, area, label, is_crowd in zip(*(column.tolist() for column in columns), strict=True):
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": part.category_ids[label],
                        "bbox": box,
                        "area": area,
                        "iscrowd": int(is_crowd),
                    }
                )
        categories = [{"id": i, "name": n} for i, n in zip(part.category_ids, part.labels, strict=True)]
        listing = {"images": images, "annotations": annotations, "categories": categories}
        text = json.dumps(listing, ensure_ascii=False)
        (folder / "annotations" / f"instances_{name}.json").write_text(text, encoding="utf-8")
    return _turned(turned)


def write_yolo(folder: Path, parts: Mapping[str, DetectionSet], link: bool) -> list[str]:
    """Write ``data.yaml``, ``images/NAME/`` and ``labels/NAME/``. Crowds are lost, and so are areas that differ from
    their box's."""
    import yaml

    crowds = turned = 0
    labels: Sequence[str] = next(iter(parts.values())).labels
    for name, part in parts.items():
        names = _file_names(part, by_stem=True)
        turned += _write_images(part, names, folder / "images" / name, link)
        for image, file_name in zip(part.images, names, strict=True):
            path = (folder / "labels" / name / file_name).with_suffix(".txt")
            path.parent.mkdir(parents=True, exist_ok=True)
            crowds += int(image.truth.is_crowd.sum())
            kept = ~image.truth.is_crowd
            lines = []
            for (x, y, w, h), label in zip(
                image.truth.boxes_xywh[kept].tolist(), image.truth.labels[kept].tolist(), strict=True
            ):
                shares = ((x + w / 2) / image.width, (y + h / 2) / image.height, w / image.width, h / image.height)
                lines.append(f"{label} " + " ".join(f"{share:.10g}" for share in shares) + "\n")
            path.write_text("".join(lines), encoding="utf-8")
    described = {"path": ".", **{name: f"images/{name}" for name in parts}, "names": dict(enumerate(labels))}
    text = yaml.safe_dump(described, sort_keys=False, allow_unicode=True)
    (folder / "data.yaml").write_text(text, encoding="utf-8")
    return [*_turned(turned), *([f"{crowds} crowd boxes are left out: YOLO's format has none"] if crowds else [])]


def write_voc(folder: Path, parts: Mapping[str, DetectionSet], link: bool) -> list[str]:
    """Write ``Annotations``, ``JPEGImages`` and ``ImageSets/Main/NAME.txt``. Crowds become difficult objects, and areas
    that differ from their box's are lost."""
    turned = 0
    (folder / "Annotations").mkdir()
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    taken: set[str] = set()
    for name, part in parts.items():
        names = _file_names(part, by_stem=True, flat=True, taken=taken)
        turned += _write_images(part, names, folder / "JPEGImages", link)
        for image, file_name in zip(part.images, names, strict=True):
            tree = ElementTree.ElementTree(_xml(image, file_name, part.labels))
            ElementTree.indent(tree)
            tree.write(folder / "Annotations" / f"{Path(file_name).stem}.xml", encoding="utf-8")
        lines = "".join(f"{Path(file_name).stem}\n" for file_name in names)
        (folder / "ImageSets" / "Main" / f"{name}.txt").write_text(lines, encoding="utf-8")
    return _turned(turned)


def _xml(image: LabelledImage, file_name: str, labels: Sequence[str]) -> ElementTree.Element:
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = file_name
    size = ElementTree.SubElement(root, "size")
    for key, value in (("width", image.width), ("height", image.height), ("depth", 3)):
        ElementTree.SubElement(size, key).text = str(value)
    truth = image.truth
    columns = (truth.boxes_xywh, truth.labels, truth.is_crowd)
    for (x, y, w, h), label, is_crowd in zip(*(column.tolist() for column in columns), strict=True):
        entry = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(entry, "name").text = labels[label]
        ElementTree.SubElement(entry, "difficult").text = str(int(is_crowd))
        box = ElementTree.SubElement(entry, "bndbox")
        for key, corner in (("xmin", x + 1), ("ymin", y + 1), ("xmax", x + w), ("ymax", y + h)):
            ElementTree.SubElement(box, key).text = f"{corner:.10g}"
    return root


def _file_names(
    part: DetectionSet, by_stem: bool = False, flat: bool = False, taken: set[str] | None = None
) -> list[str]:
    """A file name for each image: its path in the image folder, with a number added if two would be the same."""
    taken = set() if taken is None else taken
    names = []
    for image in part.images:
        inside = image.path.is_relative_to(part.images_dir) and not flat
        own = image.path.relative_to(part.images_dir) if inside else Path(image.path.name)
        suffix = ".png" if _needs_turning(image) else own.suffix
        name, number = own.with_suffix(suffix).as_posix(), 1
        while _key(name, by_stem) in taken:
            number += 1
            name = own.with_name(f"{own.stem}-{number}{suffix}").as_posix()
        taken.add(_key(name, by_stem))
        names.append(name)
    return names


def _key(name: str, by_stem: bool) -> str:
    return (str(Path(name).with_suffix("")) if by_stem else name).casefold()


def _needs_turning(image: LabelledImage) -> bool:
    """Whether the image must be written upright, because other tools may ignore its EXIF orientation."""
    return image.apply_orientation


def _write_images(part: DetectionSet, names: Sequence[str], folder: Path, link: bool) -> int:
    """Copy or link the images; those whose EXIF orientation is applied are rotated and written without loss.

    Returns:
        the number of rotated images.
    """
    from PIL import Image

    turned = 0
    for image, name in zip(part.images, names, strict=True):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if _needs_turning(image):
            Image.fromarray(load_rgb(image.path, apply_orientation=True)).save(target)
            turned += 1
        elif link:
            os.symlink(image.path.absolute(), target)
        else:
            shutil.copyfile(image.path, target)
    return turned


def _turned(count: int) -> list[str]:
    return [f"{count} images were rotated according to their EXIF orientation and written as PNG"] if count else []


WRITERS = {"coco": write_coco, "yolo": write_yolo, "voc": write_voc}
