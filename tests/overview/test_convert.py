"""A data set written in each format and read again is the same."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobiledet import cli
from mobiledet.data.config import DataOptions
from mobiledet.data.dataset import DetectionSet
from mobiledet.data.read import load_split


def rows(dataset: DetectionSet, digits: int) -> list[tuple[object, ...]]:
    return sorted(
        (image.path.stem.partition("-")[0], dataset.labels[label], *box, bool(is_crowd))
        for image in dataset.images
        for box, label, is_crowd in zip(
            image.truth.boxes_xywh.round(digits).tolist(), image.truth.labels, image.truth.is_crowd, strict=True
        )
    )


@pytest.mark.parametrize("form", ["coco", "yolo", "voc"])
def test_what_is_written_is_read_again(form: str, small_shapes: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert cli.main(["convert-data", str(small_shapes), str(out), "--to", form]) == 0
    for part in ("train", "val"):
        before, after = load_split(small_shapes, part), load_split(out, part, options=DataOptions(data_format=form))
        assert rows(after, 4) == rows(before, 4)
        assert [(i.width, i.height) for i in after.images] == [(i.width, i.height) for i in before.images]
        assert [i.path.read_bytes() for i in after.images] == [i.path.read_bytes() for i in before.images]
        assert after.left_out == ()


def test_crowds_parts_and_what_is_left_out(
    small_shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listing = json.loads((small_shapes / "annotations" / "instances_train2017.json").read_text())
    listing["annotations"][0]["iscrowd"] = 1
    listing["annotations"][1]["bbox"] = [-50, 0, 10, 10]
    source = tmp_path / "source"
    (source / "annotations").mkdir(parents=True)
    (source / "train").symlink_to(small_shapes / "train2017")
    (source / "annotations" / "instances_train.json").write_text(json.dumps(listing))
    words = ["convert-data", str(source), str(tmp_path / "yolo"), "--to", "yolo", "--val-share", "0.25"]
    assert cli.main(words) == 2
    assert "has a box outside its image" in capsys.readouterr().err
    assert not (tmp_path / "yolo").exists()
    assert cli.main([*words, "--on-bad-data", "skip"]) == 0
    told = capsys.readouterr().out
    assert "left out 1: 1 boxes outside their image" in told
    assert "1 crowd boxes are left out: YOLO's format has none" in told
    parts = [load_split(tmp_path / "yolo", part) for part in ("train", "val")]
    assert [len(part.images) for part in parts] == [9, 3]
    assert sum(sum(part.objects) for part in parts) == len(listing["annotations"]) - 2
    # the same folder again: only with --overwrite, and only if it was written by this command
    assert cli.main([*words, "--on-bad-data", "skip"]) == 2
    assert cli.main([*words, "--on-bad-data", "skip", "--overwrite", "--link"]) == 0
    assert (tmp_path / "yolo" / "images" / "val").is_dir()
    (tmp_path / "yolo" / "convert-data.json").unlink()
    capsys.readouterr()
    assert cli.main([*words, "--on-bad-data", "skip", "--overwrite"]) == 2
    assert "was not written by convert-data" in capsys.readouterr().err


def test_turned_pictures_are_written_upright(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "in" / "train").mkdir(parents=True)
    Image.fromarray(pixels).save(tmp_path / "in" / "train" / "a.png", exif=exif)
    listing = {
        "images": [{"id": 1, "file_name": "a.png", "width": 40, "height": 60}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [3, 4, 30, 50]}],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (tmp_path / "in" / "annotations").mkdir()
    (tmp_path / "in" / "annotations" / "instances_train.json").write_text(json.dumps(listing))
    assert cli.main(["convert-data", str(tmp_path / "in"), str(tmp_path / "out"), "--to", "voc"]) == 0
    (image,) = load_split(tmp_path / "out", "train").images
    assert not image.apply_orientation
    np.testing.assert_array_equal(np.asarray(Image.open(image.path)), np.rot90(pixels, -1))
    assert image.boxes_xyxy.tolist() == [[3, 4, 33, 54]]
