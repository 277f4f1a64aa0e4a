import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from mobiledet.data import read
from mobiledet.data.coco import load_coco
from mobiledet.data.config import OnBadData
from mobiledet.data.read import load_split
from mobiledet.errors import UserError

Content = dict[str, Any]


def test_boxes_equal_those_of_pycocotools(shapes_dir: Path) -> None:
    dataset = load_split(shapes_dir, "train")
    reference = COCO(dataset.annotations)
    assert [image.id for image in dataset.images] == list(reference.imgs)
    assert list(dataset.category_ids) == sorted(reference.getCatIds())
    assert [reference.cats[i]["name"] for i in dataset.category_ids] == list(dataset.labels)
    for image in dataset.images:
        expected = reference.loadAnns(reference.getAnnIds(image.id, iscrowd=False))
        boxes = np.array([annotation["bbox"] for annotation in expected], np.float64).reshape(-1, 4)
        np.testing.assert_array_equal(image.boxes_xyxy[:, :2], boxes[:, :2])
        np.testing.assert_allclose(image.boxes_xyxy[:, 2:] - image.boxes_xyxy[:, :2], boxes[:, 2:])
        assert [dataset.category_ids[label] for label in image.labels] == [a["category_id"] for a in expected]
        assert image.boxes_xyxy.dtype == np.float32
        assert image.labels.dtype == np.int64


def test_categories_crowds_and_empty_images(tiny_coco: Any) -> None:
    dataset = load_coco(tiny_coco.images_dir, tiny_coco.annotations)
    assert dataset.name == "instances_val2017"
    assert dataset.labels == ("person", "dog", "toothbrush")
    assert dataset.category_ids == (1, 18, 90)
    assert dataset.skipped == ()
    first, second, third = dataset.images
    assert [image.id for image in dataset.images] == [30, 10, 20]
    assert (first.path, first.width, first.height) == (tiny_coco.images_dir / "a.jpg", 60, 40)
    np.testing.assert_array_equal(first.boxes_xyxy, [[0, 0, 30.5, 20], [50, 30, 60, 40]])  # the crowd is left out
    np.testing.assert_array_equal(first.labels, [0, 2])
    np.testing.assert_array_equal(second.boxes_xyxy, [[5, 6, 25, 16]])
    assert third.boxes_xyxy.shape == (0, 4)
    assert third.labels.shape == (0,)


def test_boxes_slightly_beyond_the_image_are_clipped(tiny_coco: Any) -> None:
    tiny_coco.content["annotations"][0]["bbox"] = [-0.5, 10, 61.3, 30.75]
    tiny_coco.save()
    dataset = load_coco(tiny_coco.images_dir, tiny_coco.annotations)
    np.testing.assert_array_equal(dataset.images[1].boxes_xyxy, [[0, 10, 60, 40]])


def change(table: str, index: int, **values: Any) -> Callable[[Content], None]:
    return lambda content: content[table][index].update(values)


def drop(table: str, index: int, key: str) -> Callable[[Content], None]:
    return lambda content: content[table][index].pop(key)


BAD_ENTRIES = {
    "zero width": (change("annotations", 0, bbox=[5, 6, 0, 10]), r"annotation 1 of b\.jpg has a box without area"),
    "negative height": (change("annotations", 0, bbox=[5, 6, 4, -1]), r"annotation 1 of b\.jpg has a box without area"),
    "NaN": (change("annotations", 0, bbox=[5, math.nan, 4, 4]), r"annotation 1 of b\.jpg has a box without area"),
    "too wide": (change("annotations", 0, bbox=[5, 6, 57, 10]), r"annotation 1 of b\.jpg has a box outside its image"),
    "left": (change("annotations", 0, bbox=[-2, 6, 9, 10]), r"annotation 1 of b\.jpg has a box outside its image"),
    "beside": (change("annotations", 0, bbox=[60.2, 6, 0.5, 9]), r"annotation 1 of b\.jpg has a box outside its image"),
    "unknown image": (change("annotations", 0, image_id=77), "annotation 1 belongs to image 77, which is not listed"),
    "unknown category": (change("annotations", 0, category_id=2), r"annotation 1 of b\.jpg has category 2, which is"),
    "no bbox": (drop("annotations", 0, "bbox"), r"annotations\[0\] has no 'bbox'"),
    "crowd word": (
        change("annotations", 0, iscrowd="maybe"),
        r"annotations\[0\] has iscrowd = 'maybe', which is neither",
    ),
    "crowd 2": (change("annotations", 0, iscrowd=2), r"annotations\[0\] has iscrowd = 2, which is neither"),
    "beyond bounds": (change("annotations", 0, bbox=[5, 10**400, 4, 4]), r"annotations\[0\] has bbox = \[5, 1000"),
    "in shares": (
        change("annotations", 0, bbox=[0.1, 0.2, 0.5, 0.25]),
        "annotation 1 of b.jpg has a box within the first",
    ),
    "other size": (change("images", 1, width=61), r"images\[1\] \(b\.jpg\) is 60 x 40 pixels, but .* 61 x 40"),
    "huge size": (change("images", 1, width=10**30), r"images\[1\] \(b\.jpg\) has size 1000000"),
    "three numbers": (change("annotations", 0, bbox=[1, 2, 3]), r"annotations\[0\] has bbox = \[1, 2, 3\]"),
    "text in box": (change("annotations", 0, bbox=[1, 2, 3, "4"]), r"annotations\[0\] has bbox"),
    "id as text": (change("annotations", 0, image_id="10"), r"annotation 1 belongs to image '10', .*; image 10 is, "),
    "not an object": (lambda content: content["annotations"].__setitem__(0, 5), r"annotations\[0\] is a int"),
    "missing file": (change("images", 1, file_name="z.jpg"), r"images\[1\] \(z\.jpg\) has no file in .*val2017"),
    "missing subfolder": (change("images", 1, file_name="x/b.jpg"), r"images\[1\] \(x/b\.jpg\) has no file"),
    "escape": (change("images", 1, file_name="../val2017/b.jpg"), r"images\[1\] .* points outside"),
    "absolute": (change("images", 1, file_name="/etc/hostname"), r"images\[1\] .* points outside"),
    "no height": (drop("images", 1, "height"), r"images\[1\] \(b\.jpg\) has no 'height'"),
    "zero height": (change("images", 1, height=0), r"images\[1\] \(b\.jpg\) has size 60 x 0"),
}


@pytest.mark.parametrize("name", BAD_ENTRIES)
def test_bad_entry_is_an_error_or_is_skipped(tiny_coco: Any, name: str) -> None:
    spoil, message = BAD_ENTRIES[name]
    spoil(tiny_coco.content)
    tiny_coco.save()
    with pytest.raises(UserError, match=message) as caught:
        load_coco(tiny_coco.images_dir, tiny_coco.annotations)
    assert str(tiny_coco.annotations) in str(caught.value)
    assert "--on-bad-data skip" in str(caught.value)
    assert "\n" not in str(caught.value)

    dataset = load_coco(tiny_coco.images_dir, tiny_coco.annotations, on_bad_data="skip")
    assert len(dataset.skipped) == 1
    assert dataset.skipped[0] in str(caught.value)
    boxes = {image.id: len(image.labels) for image in dataset.images}
    # the bad entry is image 10 or its only annotation; the rest is untouched
    assert boxes == ({30: 2, 20: 0} if "images[" in message.replace("\\", "") else {30: 2, 10: 0, 20: 0})


def test_image_listed_twice(tiny_coco: Any) -> None:
    tiny_coco.content["images"][2]["id"] = 10
    tiny_coco.save()
    with pytest.raises(UserError, match=r"images\[2\] \(c\.jpg\) repeats image id 10"):
        load_coco(tiny_coco.images_dir, tiny_coco.annotations)
    dataset = load_coco(tiny_coco.images_dir, tiny_coco.annotations, on_bad_data="skip")
    assert [(image.id, image.path.name, len(image.labels)) for image in dataset.images] == [
        (30, "a.jpg", 2),
        (10, "b.jpg", 1),
    ]


def test_image_whose_id_is_a_list(tiny_coco: Any) -> None:
    tiny_coco.content["images"][2]["id"] = [20]
    tiny_coco.save()
    with pytest.raises(UserError, match=r"images\[2\] \(c\.jpg\) has id = \[20\], which is neither"):
        load_coco(tiny_coco.images_dir, tiny_coco.annotations)
    dataset = load_coco(tiny_coco.images_dir, tiny_coco.annotations, on_bad_data="skip")
    assert [image.id for image in dataset.images] == [30, 10]


@pytest.mark.parametrize("name", ["", " ", "a\nb", "dog\n", "a\rb", "a\u2028b"])
def test_category_name_that_is_no_line(tiny_coco: Any, name: str) -> None:
    tiny_coco.content["categories"][2]["name"] = name
    tiny_coco.save()
    with pytest.raises(UserError, match=r"categories\[2\] has name = .*give it a name on one line") as caught:
        load_coco(tiny_coco.images_dir, tiny_coco.annotations, on_bad_data="skip")
    assert len(str(caught.value).splitlines()) == 1


def test_several_bad_entries_are_counted(tiny_coco: Any) -> None:
    (tiny_coco.images_dir / "c.jpg").unlink()
    for annotation in tiny_coco.content["annotations"]:
        annotation["bbox"][2] = 0
    tiny_coco.save()
    with pytest.raises(
        UserError, match=r"c\.jpg\) has no file .*\(5 bad entries in all: 4 boxes without area, 1 images"
    ):
        load_coco(tiny_coco.images_dir, tiny_coco.annotations)
    assert len(load_coco(tiny_coco.images_dir, tiny_coco.annotations, on_bad_data="skip").skipped) == 5


def test_nothing_usable_is_an_error_even_when_skipping(tiny_coco: Any) -> None:
    for image in tiny_coco.images_dir.iterdir():
        image.unlink()
    with pytest.raises(UserError, match="lists no usable image"):
        load_coco(tiny_coco.images_dir, tiny_coco.annotations, on_bad_data="skip")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "is not COCO: it holds a list"),
        ("{}", "is not COCO: it has no list 'images'"),
        ('{"images": [], "annotations": {}}', "is not COCO: it has no list 'annotations'"),
        ('{"images": [], "annotations": []}', "is not COCO: it has no list 'categories'"),
        ('{"images": [], "annotations": [], "categories": []}', "categories are empty"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1}]}', r"categories\[0\] has no 'name'"),
        (
            '{"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}',
            "category ids repeat",
        ),
    ],
)
@pytest.mark.parametrize("on_bad_data", ["error", "skip"])
def test_json_that_is_not_coco(tiny_coco: Any, text: str, message: str, on_bad_data: OnBadData) -> None:
    tiny_coco.annotations.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        load_coco(tiny_coco.images_dir, tiny_coco.annotations, on_bad_data)
    assert str(tiny_coco.annotations) in str(caught.value)


def test_missing_folder_and_files(tiny_coco: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere does not exist"):
        load_coco(tmp_path / "nowhere", tiny_coco.annotations)
    with pytest.raises(UserError, match=r"cannot read .*no\.json"):
        load_coco(tiny_coco.images_dir, tmp_path / "no.json")
    with pytest.raises(UserError, match="nowhere does not exist"):
        load_split(tmp_path / "nowhere", "val")
    with pytest.raises(UserError, match="read as coco, has no training split: it has val2017"):
        load_split(tmp_path, "train")
    tiny_coco.images_dir.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"val2017 with the images of .* does not exist"):
        load_split(tmp_path, "val")


def test_files_in_subfolders_are_found(tiny_coco: Any) -> None:
    (tiny_coco.images_dir / "deep").mkdir()
    (tiny_coco.images_dir / "b.jpg").rename(tiny_coco.images_dir / "deep" / "b.jpg")
    tiny_coco.content["images"][1]["file_name"] = "deep/b.jpg"
    tiny_coco.save()
    assert load_coco(tiny_coco.images_dir, tiny_coco.annotations).images[1].path.is_file()


def test_layout_without_the_year(tiny_coco: Any, tmp_path: Path) -> None:
    tiny_coco.images_dir.rename(tmp_path / "val")
    tiny_coco.annotations.rename(tmp_path / "annotations" / "instances_val.json")
    dataset = load_split(tmp_path, "val")
    assert (dataset.images_dir, len(dataset.images)) == (tmp_path / "val", 3)


def test_the_word_shapes_is_the_built_in_set(shapes_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(read, "shapes_folder", lambda: shapes_dir)
    dataset = load_split("shapes", "val")
    assert dataset.name == "shapes-val"
    assert len(dataset.images) == 12
    assert dataset.images_dir == shapes_dir / "val2017"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="data folder shapes does not exist"):
        load_split(Path("shapes"), "val")
