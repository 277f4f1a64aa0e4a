"""The same pictures and boxes in every format that is read, and what each format can get wrong."""

import dataclasses
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mobiledet.data.config import DataOptions
from mobiledet.data.dataset import DetectionSet
from mobiledet.data.read import find_source, load_split
from mobiledet.errors import UserError

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


@pytest.mark.parametrize("form", WRITERS)
def test_every_format_gives_the_same_boxes(form: str, tmp_path: Path) -> None:
    WRITERS[form](tmp_path / "set")
    assert find_source(tmp_path / "set", DataOptions()).format == form.partition("-")[0]
    for part, names in PARTS.items():
        dataset = load_split(tmp_path / "set", part)
        assert [image.path.name for image in dataset.images] == [f"{name}.jpg" for name in names]
        assert [(image.width, image.height) for image in dataset.images] == [SIZES[name] for name in names]
        expected = [row for row in BOXES if row[0] in names and not (form == "yolo" and row[-1])]
        assert content(dataset) == sorted((n, kind, *map(float, box), crowd) for n, kind, *box, crowd in expected)
        assert dataset.left_out == ()
        assert set(dataset.labels) <= set(CLASSES)


def test_two_formats_in_one_folder_are_told(tmp_path: Path) -> None:
    coco_in_other_folders(tmp_path)
    (tmp_path / "labels").mkdir()
    for part in PARTS:
        (tmp_path / "images" / f"{part}2017").rename(tmp_path / "images" / part)
    yolo(tmp_path / "other")
    for name in ("labels", "data.yaml"):
        (tmp_path / "other" / name).rename(tmp_path / name if name != "labels" else tmp_path / "labels" / "x")
    for part in PARTS:
        (tmp_path / "labels" / "x" / part).rename(tmp_path / "labels" / part)
    dataset = load_split(tmp_path, "train")
    assert "can be read as coco and as yolo: coco is taken; --data-format yolo takes the other" in dataset.notes[0]
    other = load_split(tmp_path, "train", options=DataOptions(data_format="yolo"))
    assert other.notes[0].startswith("1 of 3 pictures have no label file")
    # a named part decides as well
    (tmp_path / "annotations" / "instances_trainval2017.json").write_text("{}")
    assert find_source(tmp_path, DataOptions(train_set="trainval")).format == "coco"


def test_parts_are_chosen_by_name(tmp_path: Path) -> None:
    voc(tmp_path)
    sets = tmp_path / "ImageSets" / "Main"
    (sets / "test.txt").write_text("d\n")
    (sets / "trainval.txt").write_text("a\nb\nc\n")
    options = DataOptions(train_set="trainval", val_set="test")
    assert [image.id for image in load_split(tmp_path, "train", options=options).images] == ["a", "b", "c"]
    assert load_split(tmp_path, "val", options=options).name == f"{tmp_path.name}-test"
    with pytest.raises(
        UserError, match=r"read as voc, has no part 'nix'; it has test, train, trainval, val \(--val-set\)"
    ):
        load_split(tmp_path, "val", options=DataOptions(val_set="nix"))
    (sets / "val.txt").unlink()
    with pytest.raises(UserError, match=r"has no validation part: it has test, train, trainval; .* --val-share 0\.2"):
        load_split(tmp_path, "val")


def test_what_is_no_data_set_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(UserError, match="is in none of the forms roboflow, coco, yolo, voc: it holds no annotations"):
        load_split(tmp_path, "train")


YOLO_FAULTS = {
    "1 0.5 0.5 0.2": "has 3 numbers behind its class: neither box nor polygon",
    "1 0.5 0.5 0.2 0.2 0.9": "has 5 numbers behind its class: a box with a score",
    "1 20 30 10 10": "has numbers that are not in 0..1",
    "1 nan 0.5 0.2 0.2": "has numbers that are not in 0..1",
    "7 0.5 0.5 0.2 0.2": "has class 7, but there are 3, from 0",
    "-1 0.5 0.5 0.2 0.2": "has class -1",
    "0.5 0.5 0.5 0.2 0.2": "has class 0.5",
    "dog 0.5 0.5 0.2 0.2": "is not numbers: 'dog 0.5",
    "1 0.5 0.5 0 0.2": "has a box without area",
    "1 1.0 0.5 0.4 0.2": "has a box outside its image",
}


@pytest.mark.parametrize("line", YOLO_FAULTS)
def test_bad_line_of_yolo_is_named_or_skipped(line: str, tmp_path: Path) -> None:
    yolo(tmp_path)
    path = tmp_path / "labels" / "val" / "d.txt"
    path.write_text(path.read_text() + "\n" + line + "\n")
    with pytest.raises(UserError, match="line 3 ") as caught:
        load_split(tmp_path, "val")
    assert YOLO_FAULTS[line] in str(caught.value)
    assert str(path) in str(caught.value)
    dataset = load_split(tmp_path, "val", "skip")
    assert (len(dataset.left_out), sum(dataset.objects)) == (1, 1)


def test_polygons_and_key_points_become_boxes(tmp_path: Path) -> None:
    yolo(tmp_path)
    path = tmp_path / "labels" / "val" / "d.txt"
    path.write_text("1 0.25 0.25 0.75 0.5 0.5 0.75\n")
    assert content(load_split(tmp_path, "val")) == [("d", "dog", 16.0, 12.0, 32.0, 24.0, 0)]
    path.write_text("1 0.5 0.5 0.5 0.5 0.1 0.2 2 0.3 0.4 1\n")
    with (tmp_path / "data.yaml").open("a") as file:
        file.write("kpt_shape: [2, 3]\n")
    assert content(load_split(tmp_path, "val")) == [("d", "dog", 16.0, 12.0, 32.0, 24.0, 0)]


def test_forms_of_a_yolo_description(tmp_path: Path) -> None:
    yolo(tmp_path / "set")
    expected = content(load_split(tmp_path / "set", "train"))
    described = tmp_path / "set" / "data.yaml"
    (tmp_path / "set" / "train.txt").write_text("./images/train/a.jpg\nimages\\train\\b.jpg\nimages/train/c.jpg\n")
    for text in (
        "path: .\ntrain: train.txt\nval: [images/val]\nnames: {0: cat, 1: dog, 2: é}\nnc: 3\n",
        "path: /elsewhere/set\ntrain: ../images/train\nval: ../images/val\nnames: [cat, dog, é]\n",
        "train: [images/train/a.jpg, images/train/b.jpg, images/train/c.jpg]\nval: images/val\nnames: [cat, dog, é]\n",
    ):
        described.write_text(text, encoding="utf-8")
        assert content(load_split(tmp_path / "set", "train")) == expected
    for text, reason in (
        ("train: images/train\nnames: {1: cat, 2: dog}\n", "not numbered 0, 1, 2"),
        ("train: images/train\nnames: [cat, dog]\nnc: 3\n", "nc is 3, but names has 2"),
        ("train: images/train\nnames: [cat, cat, dog]\n", r"\[1\] has the same name as \[0\], 'cat'"),
        ("train: images/nowhere\nnames: [cat, dog, é]\n", "nowhere does not exist"),
        ("train: 5\nnames: [cat, dog, é]\n", "5 is neither a folder nor a list"),
        ("train: [[\n", "is not YAML"),
        ("a: " + "[" * 5000, "is not YAML"),
    ):
        described.write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match=reason):
            load_split(tmp_path / "set", "train")


VOC_FAULTS = {
    "<annotation><object/></annotation>": "object 1 has no name",
    "<annotation><object><name>cat</name></object></annotation>": "object 1 \\('cat'\\) has no bndbox",
    "<annotation><object><name>cat</name><bndbox><xmin>a</xmin></bndbox></object></annotation>": "not four numbers",
    "<html/>": "is not VOC: it holds 'html'",
    "<annotation>": "is not XML",
    '<!DOCTYPE a [<!ENTITY b "c">]><annotation/>': "declares a document type",
}


@pytest.mark.parametrize("text", VOC_FAULTS)
def test_bad_xml_is_named_or_skipped(text: str, tmp_path: Path) -> None:
    voc(tmp_path)
    (tmp_path / "Annotations" / "b.xml").write_text(text)
    with pytest.raises(UserError, match=VOC_FAULTS[text]) as caught:
        load_split(tmp_path, "train")
    assert "b.xml" in str(caught.value)
    dataset = load_split(tmp_path, "train", "skip")
    assert len(dataset.left_out) == 1
    assert sum(dataset.objects) == 2


def test_turned_boxes_of_voc_are_an_error(tmp_path: Path) -> None:
    voc(tmp_path)
    path = tmp_path / "Annotations" / "d.xml"
    path.write_text(path.read_text().replace("<xmax>12</xmax>", "<xmax>2</xmax>"))
    with pytest.raises(UserError, match=r"d\.xml: object 1 has a box without area"):
        load_split(tmp_path, "val")


def test_size_of_voc_comes_from_the_file_where_it_is_missing(tmp_path: Path) -> None:
    voc(tmp_path)
    path = tmp_path / "Annotations" / "d.xml"
    path.write_text(path.read_text().replace("<width>64</width>", "<width>0</width>"))
    dataset = load_split(tmp_path, "val")
    assert (dataset.images[0].width, dataset.images[0].height) == SIZES["d"]
    assert dataset.notes == ("1 XML files give no size of their picture; that of the file is taken",)


# ------------------------------------------------------------------------------------------------------- a share apart


def many(folder: Path, names: list[str]) -> Path:
    for name in names:
        path = folder / "train" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(path)
    listing = {
        "images": [{"id": n, "file_name": f"{n}.jpg", "width": 20, "height": 20} for n in names],
        "annotations": [{"id": n, "image_id": n, "category_id": 1, "bbox": [1, 1, 9, 9]} for n in names],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (folder / "annotations").mkdir()
    (folder / "annotations" / "instances_train.json").write_text(json.dumps(listing))
    return folder


@pytest.mark.parametrize("by", ["picture", "folder", "prefix"])
def test_a_share_is_kept_apart(by: Any, tmp_path: Path) -> None:
    names = [f"cam{camera}/v{video}_{frame:03}" for camera in range(4) for video in range(2) for frame in range(5)]
    folder = many(tmp_path / "set", names)
    options = DataOptions(val_share=0.25, split_by=by)
    train, val = (load_split(folder, role, options=options) for role in ("train", "val"))
    assert len(val.images) == 10
    assert sorted(image.id for image in (*train.images, *val.images)) == sorted(names)
    again = load_split(folder, "val", options=options)
    assert [image.id for image in again.images] == [image.id for image in val.images]
    others = load_split(folder, "val", options=dataclasses.replace(options, split_seed=1))
    assert [image.id for image in others.images] != [image.id for image in val.images]
    key = {"picture": str, "folder": lambda name: name.split("/")[0], "prefix": lambda name: name[:7]}[by]
    sides = [{key(image.id) for image in part.images} for part in (train, val)]
    assert not sides[0] & sides[1]


def test_a_share_of_a_set_that_is_divided_is_refused(tmp_path: Path) -> None:
    coco(tmp_path)
    with pytest.raises(UserError, match="has a validation part, val; leave --val-share out"):
        load_split(tmp_path, "train", options=DataOptions(val_share=0.2))
    folder = many(tmp_path / "one", ["a", "b"])
    for share, reason in ((1.5, "is not between 0 and 1"), (0.5, "1 group of images alone")):
        with pytest.raises(UserError, match=reason):
            load_split(folder, "val", options=DataOptions(val_share=share, split_by="folder"))


# ------------------------------------------------------------------------------------------------------- identity


def retold(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    coco(folder)
    path = folder / "annotations" / "instances_val.json"
    listing = json.loads(path.read_text())
    change(listing)
    path.write_text(json.dumps(listing), encoding="utf-8")
    return folder


@pytest.mark.parametrize("image_id", [0, -3, 2**63, 2**127 + 1, "d", "", "é", "7"])
def test_ids_of_any_kind(image_id: int | str, tmp_path: Path) -> None:
    def change(listing: dict[str, Any]) -> None:
        listing["images"][0]["id"] = listing["annotations"][0]["image_id"] = image_id
        listing["annotations"][0]["id"] = "any"

    (image,) = load_split(retold(tmp_path, change), "val").images
    assert image.id == image_id
    assert type(image.id) is type(image_id)
    assert len(image.labels) == 1


@pytest.mark.parametrize("name", ["d.jpg", "./d.jpg", "val/d.jpg", "val\\d.jpg", ".\\d.jpg", "ABSOLUTE/val/d.jpg"])
def test_forms_of_a_file_name(name: str, tmp_path: Path) -> None:
    name = name.replace("ABSOLUTE", str(tmp_path))
    (image,) = load_split(retold(tmp_path, lambda listing: listing["images"][0].update(file_name=name)), "val").images
    assert image.path == tmp_path / "val" / "d.jpg"


@pytest.mark.parametrize(("listed", "stored"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC")])
def test_unicode_forms_of_a_file_name(listed: str, stored: str, tmp_path: Path) -> None:
    name = "Straßenübergang é.jpg"
    listed, stored = (unicodedata.normalize(form, name) for form in (listed, stored))  # type: ignore[arg-type]
    retold(tmp_path, lambda listing: listing["images"][0].update(file_name=listed))
    (tmp_path / "val" / "d.jpg").rename(tmp_path / "val" / stored)
    (image,) = load_split(tmp_path, "val").images
    assert image.path.name == stored


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../train/a.jpg", "points outside"),
        ("..\\train\\a.jpg", "points outside"),
        ("C:\\set\\d.jpg", "points outside"),
        ("D.JPG", r"has no file in .*; there is d\.jpg, in another letter case"),
        ("e.jpg", r"has no file in .*; there is deep/e\.jpg, so give"),
        ("d.jpg\u0000", "is no name of a file"),
        ("", "is no name of a file"),
    ],
)
def test_file_names_that_are_refused(name: str, reason: str, tmp_path: Path) -> None:
    retold(tmp_path, lambda listing: listing["images"][0].update(file_name=name))
    (tmp_path / "val" / "deep").mkdir()
    (tmp_path / "val" / "deep" / "e.jpg").touch()
    with pytest.raises(UserError, match=reason):
        load_split(tmp_path, "val")


def test_json_with_a_byte_order_mark_and_one_nested_too_deep(tmp_path: Path) -> None:
    coco(tmp_path)
    path = tmp_path / "annotations" / "instances_val.json"
    text = path.read_text()
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_text(text, encoding=encoding)
        assert len(load_split(tmp_path, "val").images) == 1
    path.write_text('{"images": ' + "[" * 100_000)
    with pytest.raises(UserError, match="is nested too deeply"):
        load_split(tmp_path, "val")


# ------------------------------------------------------------------------------------------------------- strictness


@pytest.mark.parametrize(
    ("word", "is_crowd"),
    [(0, 0), (1, 1), ("0", 0), ("1", 1), ("false", 0), (" True ", 1), (False, 0), (None, 0), (1.0, 1)],
)
def test_crowd_is_read_as_it_is_meant(word: Any, is_crowd: int, tmp_path: Path) -> None:
    dataset = load_split(retold(tmp_path, lambda listing: listing["annotations"][0].update(iscrowd=word)), "val")
    assert dataset.crowds == is_crowd
    assert sum(dataset.objects) == 1 - is_crowd


@pytest.mark.parametrize("on_bad_data", ["error", "skip"])
def test_boxes_in_shares_are_refused(on_bad_data: Any, tmp_path: Path) -> None:
    retold(tmp_path, lambda listing: listing["annotations"][0].update(bbox=[0.1, 0.2, 0.3, 0.4]))
    with pytest.raises(UserError, match=r"all 1 boxes are below 2 pixels, .* in shares of the image \(0\.\.1\)"):
        load_split(tmp_path, "val", on_bad_data)


def test_boxes_as_corners_are_recognised(tmp_path: Path) -> None:
    retold(tmp_path, lambda listing: listing["annotations"][0].update(bbox=[40, 30, 60, 45]))
    with pytest.raises(UserError, match=r"has a box outside its image: .*; as x1 y1 x2 y2 it would lie inside"):
        load_split(tmp_path, "val")


def test_a_file_under_two_ids(tmp_path: Path) -> None:
    """An error; skipped, the boxes of both entries are those of the one picture."""

    def change(listing: dict[str, Any]) -> None:
        listing["images"].append({**listing["images"][0], "id": 5000})
        listing["annotations"].append({**listing["annotations"][0], "image_id": 5000, "bbox": [20, 20, 9, 9]})

    retold(tmp_path, change)
    with pytest.raises(UserError, match=r"images\[1\] \(d\.jpg\) is the same file as image 1000, under another id"):
        load_split(tmp_path, "val")
    dataset = load_split(tmp_path, "val", "skip")
    assert [(image.id, len(image.labels)) for image in dataset.images] == [(1000, 2)]
    assert [entry.reason for entry in dataset.left_out] == ["files listed twice"]


def test_boxes_that_are_there_twice(tmp_path: Path) -> None:
    folder = many(tmp_path / "set", [f"{index:03}" for index in range(200)])
    path = folder / "annotations" / "instances_train.json"
    listing = json.loads(path.read_text())
    listing["annotations"].append(dict(listing["annotations"][0], id="copy"))
    path.write_text(json.dumps(listing))
    dataset = load_split(folder, "train")  # one in two hundred, as in COCO itself: told
    assert sum(dataset.objects) == 201
    assert dataset.notes[0].startswith("1 boxes are there twice")
    assert sum(load_split(folder, "train", "skip").objects) == 200
    listing["annotations"] += listing["annotations"]
    path.write_text(json.dumps(listing))
    with pytest.raises(UserError, match=r"has the same box and class as another one of its image.*\(202 bad entries"):
        load_split(folder, "train")


def test_an_area_that_cannot_be_is_replaced_and_told(tmp_path: Path) -> None:
    for area in (-5, 10**7, "12", float("nan")):
        folder = tmp_path / str(area)
        retold(folder, lambda listing, area=area: listing["annotations"][0].update(area=area))
        dataset = load_split(folder, "val")
        assert dataset.images[0].truth.areas.tolist() == [56.0]
        assert (dataset.notes == ()) == (area != area)  # NaN is no number at all
    retold(tmp_path / "good", lambda listing: listing["annotations"][0].update(area=40.5))
    assert load_split(tmp_path / "good", "val").images[0].truth.areas.tolist() == [40.5]
