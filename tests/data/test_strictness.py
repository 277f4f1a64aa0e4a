"""Held-out validation images, the identity of images, and strict decoding of values."""

import dataclasses
import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from written_forms import coco, retold

from mobiledet.data.config import DataOptions
from mobiledet.data.read import load_split
from mobiledet.errors import UserError

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
    with pytest.raises(UserError, match="has a validation split, val; leave --val-share out"):
        load_split(tmp_path, "train", options=DataOptions(val_share=0.2))
    folder = many(tmp_path / "one", ["a", "b"])
    for share, reason in ((1.5, "is not between 0 and 1"), (0.5, "only 1 group of images")):
        with pytest.raises(UserError, match=reason):
            load_split(folder, "val", options=DataOptions(val_share=share, split_by="folder"))


# ------------------------------------------------------------------------------------------------------- identity


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
        ("d.jpg\u0000", "is not a file name"),
        ("", "is not a file name"),
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
    with pytest.raises(UserError, match=r"all 1 boxes are below 2 pixels, .* in fractions of the image \(0\.\.1\)"):
        load_split(tmp_path, "val", on_bad_data)


def test_boxes_as_corners_are_recognised(tmp_path: Path) -> None:
    retold(tmp_path, lambda listing: listing["annotations"][0].update(bbox=[40, 30, 60, 45]))
    with pytest.raises(UserError, match=r"has a box outside its image: .*; does the file hold x1 y1 x2 y2"):
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
    assert dataset.notes[0].startswith("1 boxes are repeated")
    assert sum(load_split(folder, "train", "skip").objects) == 200
    listing["annotations"] += listing["annotations"]
    path.write_text(json.dumps(listing))
    with pytest.raises(
        UserError, match=r"repeats the box and class of another annotation of its image.*\(202 bad entries"
    ):
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
