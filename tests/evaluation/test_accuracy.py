import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobiledet.bundle import Bundle
from mobiledet.data.categories import match_labels
from mobiledet.data.dataset import DetectionSet
from mobiledet.data.read import load_split
from mobiledet.devices.base import Session
from mobiledet.devices.local import LocalDevice
from mobiledet.errors import UserError
from mobiledet.evaluation.accuracy import measure_accuracy


@pytest.fixture(scope="module")
def session(patch_bundle: Bundle) -> Session:
    return LocalDevice().load(patch_bundle, patch_bundle.select(), threads=1)


@pytest.fixture
def data(patch_data: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return shutil.copytree(patch_data, tmp_path / "patches")


def _edit(data: Path, change: Callable[[dict], None]) -> DetectionSet:
    path = data / "annotations" / "instances_val2017.json"
    listing = json.loads(path.read_text())
    change(listing)
    path.write_text(json.dumps(listing))
    return load_split(data, "val")


@pytest.mark.parametrize("scorer", ["faster-coco-eval", "pycocotools"])
def test_perfect_detector_scores_one(session: Session, patch_bundle: Bundle, patch_data: Path, scorer: str) -> None:
    accuracy = measure_accuracy(session, patch_bundle.spec, load_split(patch_data, "val"), scorer)
    assert abs(accuracy.metrics.AP - 1) < 1e-9
    assert accuracy.metrics.images == 6
    assert accuracy.metrics.detections == 15
    assert set(accuracy.metrics.per_class) == {"red", "green", "blue"}
    assert (accuracy.dataset, accuracy.scorer, accuracy.skipped) == ("patches-val", scorer, ())
    assert {stage: stats.n for stage, stats in accuracy.stages.items()} == {
        "decode": 6,
        "preprocess": 6,
        "infer": 6,
        "postprocess": 6,
    }


def test_missed_objects_cost(
    session: Session, patch_bundle: Bundle, data: Path, paint_cells: Callable[..., np.ndarray]
) -> None:
    """Two of the images turn black: recall is what is left."""
    dataset = load_split(data, "val")
    for image in dataset.images[4:]:
        Image.fromarray(paint_cells([], image.width, image.height)).save(image.path)
    accuracy = measure_accuracy(session, patch_bundle.spec, dataset)
    assert accuracy.metrics.detections == 0 + 1 + 2 + 3
    recalls = []
    for label in range(3):
        of_label = [int((image.labels == label).sum()) for image in dataset.images]
        recalls.append(sum(of_label[:4]) / sum(of_label))
    assert abs(accuracy.metrics.AR100 - np.mean(recalls)) < 1e-9


def test_broken_image_stops_or_is_left_out(session: Session, patch_bundle: Bundle, data: Path) -> None:
    dataset = load_split(data, "val")
    broken = dataset.images[5].path
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(UserError, match=r"005\.jpg.*--on-bad-data skip"):
        measure_accuracy(session, patch_bundle.spec, dataset)
    accuracy = measure_accuracy(session, patch_bundle.spec, dataset, on_bad_data="skip")
    assert abs(accuracy.metrics.AP - 1) < 1e-9  # its five objects are not counted as missed
    assert accuracy.metrics.images == 5
    assert len(accuracy.skipped) == 1
    assert "005.jpg" in accuracy.skipped[0]
    whole = dataclasses.replace(dataset, images=dataset.images[:5])
    assert accuracy.images_sha256 == measure_accuracy(session, patch_bundle.spec, whole).images_sha256


def test_image_of_another_size_stops_or_is_left_out(
    session: Session, patch_bundle: Bundle, data: Path, paint_cells: Callable[..., np.ndarray]
) -> None:
    dataset = load_split(data, "val")
    Image.fromarray(paint_cells([], 96, 80)).save(dataset.images[5].path)
    with pytest.raises(UserError, match=r"005\.jpg is 96 x 80 pixels, but .*\.json says 320 x 256; .*-data skip"):
        measure_accuracy(session, patch_bundle.spec, dataset)
    accuracy = measure_accuracy(session, patch_bundle.spec, dataset, on_bad_data="skip")
    assert accuracy.metrics.images == 5
    assert abs(accuracy.metrics.AP - 1) < 1e-9
    assert len(accuracy.skipped) == 1
    assert "005.jpg is 96 x 80 pixels" in accuracy.skipped[0]


def test_no_readable_image_is_an_error(session: Session, patch_bundle: Bundle, data: Path) -> None:
    dataset = load_split(data, "val")
    for image in dataset.images:
        image.path.write_bytes(b"")
    with pytest.raises(UserError, match=r"no image of .*val2017 can be scored; the first problem: .*000\.jpg"):
        measure_accuracy(session, patch_bundle.spec, dataset, on_bad_data="skip")


def test_image_lists_have_different_checksums(session: Session, patch_bundle: Bundle, patch_data: Path) -> None:
    dataset = load_split(patch_data, "val")
    part = dataclasses.replace(dataset, images=dataset.images[:3])
    checksums = [measure_accuracy(session, patch_bundle.spec, d).images_sha256 for d in (dataset, dataset, part)]
    assert checksums[0] == checksums[1] != checksums[2]


def test_changed_annotations_change_the_checksum(session: Session, patch_bundle: Bundle, data: Path) -> None:
    before = measure_accuracy(session, patch_bundle.spec, load_split(data, "val"))
    dataset = _edit(data, lambda listing: listing["annotations"].pop())
    after = measure_accuracy(session, patch_bundle.spec, dataset)
    assert after.metrics.images == before.metrics.images
    assert after.images_sha256 != before.images_sha256


def test_categories_are_matched_by_name(session: Session, patch_bundle: Bundle, data: Path) -> None:
    """Another data set numbers the same colours differently, and lacks one."""
    numbers = {3: 40, 5: 20, 9: 30}

    def renumber(listing: dict) -> None:
        listing["categories"] = [{**c, "id": numbers[c["id"]]} for c in listing["categories"] if c["name"] != "blue"]
        kept = [a for a in listing["annotations"] if a["category_id"] != 9]
        listing["annotations"] = [{**a, "category_id": numbers[a["category_id"]]} for a in kept]

    dataset = _edit(data, renumber)
    assert match_labels(patch_bundle.spec, dataset) == (1, 0, None)
    accuracy = measure_accuracy(session, patch_bundle.spec, dataset)
    assert abs(accuracy.metrics.AP - 1) < 1e-9
    assert set(accuracy.metrics.per_class) == {"red", "green"}


def test_category_that_the_model_does_not_know(patch_bundle: Bundle, data: Path) -> None:
    dataset = _edit(data, lambda listing: listing["categories"].append({"id": 77, "name": "zebra"}))
    with pytest.raises(UserError, match=r"has the category 'zebra', which patch-64 does not have \(it has red, green"):
        match_labels(patch_bundle.spec, dataset)


def test_names_that_repeat_are_refused_when_read(patch_bundle: Bundle, data: Path) -> None:
    with pytest.raises(UserError, match=r"categories\[3\] has the same name as \[0\], 'red'"):
        _edit(data, lambda listing: listing["categories"].append({"id": 77, "name": "red"}))


def test_images_may_have_any_ids(session: Session, patch_bundle: Bundle, data: Path) -> None:
    def rename(listing: dict) -> None:
        new = {
            image["id"]: f"pic-{image['id']}" if image["id"] % 2 else 2**100 + image["id"]
            for image in listing["images"]
        }
        for image in listing["images"]:
            image["id"] = new[image["id"]]
        for annotation in listing["annotations"]:
            annotation["image_id"] = new[annotation["image_id"]]

    accuracy = measure_accuracy(session, patch_bundle.spec, _edit(data, rename))
    assert abs(accuracy.metrics.AP - 1) < 1e-9


def test_bad_boxes_are_left_out_of_the_score_too(session: Session, patch_bundle: Bundle, data: Path) -> None:
    """Else they would count as objects that were not found."""

    def spoil(listing: dict) -> None:
        one = listing["annotations"][0]
        listing["annotations"] += [
            {**one, "id": 900, "bbox": [1000, 5, 9, 9]},
            {**one, "id": 901, "bbox": [5, 5, -4, 9]},
        ]

    with pytest.raises(UserError, match="2 bad entries"):
        _edit(data, spoil)
    dataset = load_split(data, "val", "skip")
    accuracy = measure_accuracy(session, patch_bundle.spec, dataset, on_bad_data="skip")
    assert abs(accuracy.metrics.AP - 1) < 1e-9
    assert accuracy.skipped_by_reason == "1 boxes without area, 1 boxes outside their image"


def test_without_a_box_there_is_an_error_and_no_score(session: Session, patch_bundle: Bundle, data: Path) -> None:
    dataset = _edit(data, lambda listing: listing["annotations"].clear())
    with pytest.raises(UserError, match="has no boxes in 6 images, so there is no mAP"):
        measure_accuracy(session, patch_bundle.spec, dataset)


def test_turned_images_are_read_as_their_annotations_say(session: Session, patch_bundle: Bundle, data: Path) -> None:
    """Stored turned by 180 degrees (tag 3), and turned by 90 (tag 6): the boxes are of what a viewer shows."""
    dataset = load_split(data, "val")
    for index, (tag, turn) in enumerate(((3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_90)), start=4):
        path = dataset.images[index].path
        with Image.open(path) as picture:
            exif = picture.getexif()
            exif[0x0112] = tag
            picture.transpose(turn).save(path, exif=exif, quality=95)
    dataset = load_split(data, "val")
    assert [image.apply_orientation for image in dataset.images] == [False, False, False, False, True, True]
    assert any("1 images have an EXIF orientation, but their annotated size" in note for note in dataset.notes)
    assert measure_accuracy(session, patch_bundle.spec, dataset).metrics.AP > 0.99
    ignoring = load_split(data, "val", "skip", exif="ignore")
    assert [entry.reason for entry in ignoring.left_out] == ["images whose size differs from the annotations"]
    assert "EXIF orientation 6" in ignoring.skipped[0]
    assert measure_accuracy(session, patch_bundle.spec, ignoring, on_bad_data="skip").metrics.AP < 0.9
