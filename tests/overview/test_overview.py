"""The page of a data set: what it counts, finds and advises."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mobiledet import cli
from mobiledet.data.read import load_split
from mobiledet.data.record import ImageFile
from mobiledet.overview.copies import exact_copies, near_copies
from mobiledet.overview.labels import suspicions
from mobiledet.overview.pictures import summarise_images


@pytest.fixture
def told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """What ``mobiledet data`` prints as JSON; the page is page.html."""

    def tell(folder: Path, *words: str) -> dict[str, Any]:
        assert cli.main(["data", str(folder), "--json", "--out", str(tmp_path / "page.html"), *words]) == 0
        values: dict[str, Any] = json.loads(capsys.readouterr().out)
        return values

    return tell


def test_numbers_are_those_of_the_annotations(
    told: Callable[..., dict[str, Any]], small_shapes: Path, tmp_path: Path
) -> None:
    found = told(small_shapes, "--image-size", "160")
    assert found["format"] == "coco"
    for part, count in (("train", 12), ("val", 6)):
        listing = json.loads((small_shapes / "annotations" / f"instances_{part}2017.json").read_text())
        facts = next(facts for facts in found["parts"] if facts["name"] == part)
        assert (facts["images"], facts["boxes"]) == (count, len(listing["annotations"]))
        names = {category["id"]: category["name"] for category in listing["categories"]}
        for fact in found["classes"]:
            expected = sum(names[a["category_id"]] == fact["name"] for a in listing["annotations"])
            assert fact["boxes"][part] == expected
        sizes = {image["id"]: (image["width"], image["height"]) for image in listing["images"]}
        shorter = [
            min(a["bbox"][2] * 160 / sizes[a["image_id"]][0], a["bbox"][3] * 160 / sizes[a["image_id"]][1])
            for a in listing["annotations"]
        ]
        for side in (3, 8, 16):
            assert facts["shorter_sides"][f"below {side}"] == sum(value < side for value in shorter)
        assert sum(facts["boxes_per_image_histogram"].values()) == count
        assert facts["anchors"]["strides"] == [8, 16, 32, 64]
        assert 0 <= facts["anchors"]["below_fifth"] <= facts["anchors"]["below_half"] <= 1
    assert found["copies"]["exact_across"] == 0
    page = (tmp_path / "page.html").read_text()
    assert "http" not in page.replace("http-equiv", "")  # it needs nothing else
    assert all(f'id="{name}"' in page for name in ("advice", "classes", "sizes", "pictures", "copies", "look"))


def test_bad_data_is_counted_and_advice_given(
    told: Callable[..., dict[str, Any]], small_shapes: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(small_shapes / "train2017", folder / "train")
    (folder / "annotations").mkdir()
    listing = json.loads((small_shapes / "annotations" / "instances_train2017.json").read_text())
    listing["annotations"][0]["bbox"] = [0, 0, 0, 5]
    (folder / "annotations" / "instances_train.json").write_text(json.dumps(listing))
    cut = folder / "train" / listing["images"][3]["file_name"]
    cut.write_bytes(cut.read_bytes()[:-200])
    found = told(folder)
    assert found["parts"][0]["left_out_by_reason"] == {"boxes without area": 1}
    assert len(found["undecodable"]) == 1
    advice = " ".join(found["advice"])
    assert "1 entries are bad (1 boxes without area)" in advice
    assert "There is no validation split. Train with --val-share 0.2" in advice
    assert cli.main(["data", str(folder), "--on-bad-data", "error"]) == 2


def picture(seed: int, height: int = 96, width: int = 128) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def test_copies_and_near_copies(tmp_path: Path) -> None:
    paths = []

    def put(name: str, image: Image.Image, **options: Any) -> int:
        image.save(tmp_path / name, **options)
        paths.append(ImageFile(tmp_path / name))
        return len(paths) - 1

    first = put("a.jpg", picture(0), quality=90)
    copy = put("b.jpg", picture(0), quality=90)
    smaller = put("c.jpg", picture(0).resize((64, 48)), quality=60)
    brighter = put("d.png", Image.fromarray(np.clip(np.asarray(picture(1)).astype(int) + 4, 0, 255).astype(np.uint8)))
    shifted = put("e.png", Image.fromarray(np.roll(np.asarray(picture(1)), 1, axis=1)))
    for seed in range(2, 40):
        put(f"other{seed}.png", picture(seed))
    for level in (10, 10, 200):
        put(f"flat{len(paths)}.png", Image.new("RGB", (50, 50), (level,) * 3))
    summaries = summarise_images(paths, quiet=True)
    assert exact_copies(summaries)[0] == [first, copy]
    assert near_copies(summaries) == [(first, smaller), (brighter, shifted)]


def test_frames_of_one_video_in_both_parts(told: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    for part, frames in (("train", (1, 3)), ("val", (2,))):
        (tmp_path / "set" / part).mkdir(parents=True)
        for frame in frames:
            image = Image.fromarray(np.roll(np.asarray(picture(7)), frame, axis=1))
            image.save(tmp_path / "set" / part / f"ride_{frame:04}.png")
        listing = {
            "images": [{"id": f, "file_name": f"ride_{f:04}.png", "width": 128, "height": 96} for f in frames],
            "annotations": [{"id": f, "image_id": f, "category_id": 1, "bbox": [9, 9, 40, 40]} for f in frames],
            "categories": [{"id": 1, "name": "car"}],
        }
        (tmp_path / "set" / "annotations").mkdir(exist_ok=True)
        (tmp_path / "set" / "annotations" / f"instances_{part}.json").write_text(json.dumps(listing))
    copies = told(tmp_path / "set")["copies"]
    assert (copies["near_within"], copies["near_across"]) == (1, 2)


def test_suspicious_labels(tmp_path: Path) -> None:
    Image.new("RGB", (200, 100)).save(tmp_path / "a.png")
    boxes = {
        "ordinary": (1, [10, 10, 30, 30]),
        "tiny": (1, [100, 50, 3, 20]),
        "huge": (1, [0, 0, 200, 100]),
        "beyond": (1, [150, 60, 50.5, 20]),
        "slender": (1, [0, 90, 190, 5]),
        "two classes": (2, [10, 10, 30, 31]),
        "two boxes": (1, [100, 50, 3, 21]),
        "seen once": (3, [60, 20, 20, 20]),
    }
    listing = {
        "images": [{"id": 1, "file_name": "a.png", "width": 200, "height": 100}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": kind, "bbox": box} for i, (kind, box) in enumerate(boxes.values())
        ],
        "categories": [{"id": i, "name": f"class {i}"} for i in (1, 2, 3)],
    }
    (tmp_path / "train.json").write_text(json.dumps(listing))
    found = suspicions([load_split(tmp_path, "train")])
    names = list(boxes)
    assert {(s.kind, names[s.box]) for s in found} == {
        ("tiny", "tiny"),
        ("tiny", "two boxes"),
        ("huge", "huge"),
        ("beyond", "beyond"),
        ("slender", "slender"),
        ("two classes", "ordinary"),
        ("two boxes", "tiny"),
        ("seen once", "seen once"),
        ("seen once", "two classes"),
    }
