"""The same pictures and boxes, written in every form that is read."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mobiledet.data.dataset import DetectionSet

SIZES = {"a": (60, 40), "b": (33, 77), "c": (50, 50), "d": (64, 48)}
CLASSES = ("cat", "dog", "é")
# picture, class, left, top, width, height in whole pixels, is it a crowd
BOXES = (
    ("a", "dog", 3, 4, 20, 30, 0),
    ("a", "cat", 0, 0, 60, 40, 0),
    ("a", "cat", 10, 5, 30, 20, 1),
    ("b", "é", 1, 2, 30, 70, 0),
    ("d", "dog", 5, 6, 7, 8, 0),
)
PARTS = {"train": ("a", "b", "c"), "val": ("d",)}


def put_pictures(folder: Path, names: tuple[str, ...]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(np.full((SIZES[name][1], SIZES[name][0], 3), 90, np.uint8)).save(folder / f"{name}.jpg")


def coco(folder: Path, images: str = "{part}", annotations: str = "annotations/instances_{part}.json") -> None:
    for part, names in PARTS.items():
        put_pictures(folder / images.format(part=part), names)
        listing = {
            "images": [
                {"id": 1000 + i, "file_name": f"{n}.jpg", "width": SIZES[n][0], "height": SIZES[n][1]}
                for i, n in enumerate(names)
            ],
            "annotations": [
                {
                    "id": i,
                    "image_id": 1000 + names.index(n),
                    "category_id": 10 * CLASSES.index(kind),
                    "bbox": box,
                    "iscrowd": crowd,
                }
                for i, (n, kind, *box, crowd) in enumerate(BOXES)
                if n in names
            ],
            "categories": [{"id": 10 * i, "name": kind} for i, kind in enumerate(CLASSES)],
        }
        path = folder / annotations.format(part=part)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(listing))


def roboflow(folder: Path) -> None:
    coco(folder, "{part}", "{part}/_annotations.coco.json")
    (folder / "val").rename(folder / "valid")
    for part in ("train", "valid"):
        path = folder / part / "_annotations.coco.json"
        listing = json.loads(path.read_text())
        # Roboflow's group of the classes: it has no box, and here the name of a class
        listing["categories"] = [{**c, "id": c["id"] + 1, "supercategory": "dog"} for c in listing["categories"]]
        listing["categories"].insert(0, {"id": 0, "name": "dog", "supercategory": "none"})
        for annotation in listing["annotations"]:
            annotation["category_id"] += 1
        path.write_text(json.dumps(listing))


def yolo(folder: Path) -> None:
    for part, names in PARTS.items():
        put_pictures(folder / "images" / part, names)
        (folder / "labels" / part).mkdir(parents=True)
        for name in names:
            lines = []
            for _, kind, x, y, w, h, crowd in (box for box in BOXES if box[0] == name):
                width, height = SIZES[name]
                shares = ((x + w / 2) / width, (y + h / 2) / height, w / width, h / height)
                if not crowd:
                    lines.append(f"{CLASSES.index(kind)} " + " ".join(f"{share:.9f}" for share in shares))
            if lines:
                (folder / "labels" / part / f"{name}.txt").write_text("\n".join(lines) + "\n")
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [cat, dog, é]\n", encoding="utf-8")


def xml(name: str, boxes: list[Any]) -> str:
    width, height = SIZES[name]
    objects = "".join(
        f"<object><name>{kind}</name><difficult>{crowd}</difficult><bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin>"
        f"<xmax>{x + w}</xmax><ymax>{y + h}</ymax></bndbox></object>"
        for _, kind, x, y, w, h, crowd in boxes
    )
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><filename>{name}.jpg</filename>{size}{objects}</annotation>"


def voc(folder: Path) -> None:
    (folder / "Annotations").mkdir(parents=True)
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    for part, names in PARTS.items():
        put_pictures(folder / "JPEGImages", names)
        for name in names:
            text = xml(name, [box for box in BOXES if box[0] == name])
            (folder / "Annotations" / f"{name}.xml").write_text(text, encoding="utf-8")
        (folder / "ImageSets" / "Main" / f"{part}.txt").write_text("".join(f"{name}\n" for name in names))
        (folder / "ImageSets" / "Main" / f"cat_{part}.txt").write_text("".join(f"{name} -1\n" for name in names))


def xml_beside_pictures(folder: Path) -> None:
    for part, names in PARTS.items():
        put_pictures(folder / part, names)
        for name in names:
            text = xml(name, [box for box in BOXES if box[0] == name])
            (folder / part / f"{name}.xml").write_text(text, encoding="utf-8")


def coco_in_other_folders(folder: Path) -> None:
    coco(folder, "images/{part}2017", "annotations/instances_{part}2017.json")


WRITERS: dict[str, Callable[[Path], None]] = {
    "coco": coco,
    "coco-images": coco_in_other_folders,
    "roboflow": roboflow,
    "yolo": yolo,
    "voc": voc,
    "voc-beside": xml_beside_pictures,
}


def content(dataset: DetectionSet) -> list[tuple[Any, ...]]:
    rows = []
    for image in dataset.images:
        for box, label, is_crowd in zip(
            image.truth.boxes_xywh.round(5).tolist(), image.truth.labels, image.truth.is_crowd, strict=True
        ):
            rows.append((image.path.name[0], dataset.labels[label], *box, int(is_crowd)))
    return sorted(rows)


def retold(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    coco(folder)
    path = folder / "annotations" / "instances_val.json"
    listing = json.loads(path.read_text())
    change(listing)
    path.write_text(json.dumps(listing), encoding="utf-8")
    return folder
