"""Every format gives the same pictures and boxes; what each format can get wrong."""

from pathlib import Path

import pytest
from written_forms import BOXES, CLASSES, PARTS, SIZES, WRITERS, coco_in_other_folders, content, voc, yolo

from mobiledet.data.config import DataOptions
from mobiledet.data.read import find_source, load_split
from mobiledet.errors import UserError


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
    assert "can be read as coco and as yolo: coco is used; choose the other with --data-format yolo" in dataset.notes[0]
    other = load_split(tmp_path, "train", options=DataOptions(data_format="yolo"))
    assert other.notes[0].startswith("1 of 3 images have no label file")
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
        UserError, match=r"read as voc, has no split 'nix'; it has test, train, trainval, val \(--val-set\)"
    ):
        load_split(tmp_path, "val", options=DataOptions(val_set="nix"))
    (sets / "val.txt").unlink()
    with pytest.raises(UserError, match=r"has no validation split: it has test, train, trainval; .* --val-share 0\.2"):
        load_split(tmp_path, "val")


def test_what_is_no_data_set_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(UserError, match="is not in the format roboflow or coco or yolo or voc: it has no annotations"):
        load_split(tmp_path, "train")


YOLO_FAULTS = {
    "1 0.5 0.5 0.2": "has 3 numbers after its class: neither box nor polygon",
    "1 0.5 0.5 0.2 0.2 0.9": "has 5 numbers after its class: a box with a score",
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
    assert dataset.notes == ("1 XML files give no image size; the size of the image file is used",)
