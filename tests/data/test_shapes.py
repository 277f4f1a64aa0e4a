import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from mobiledet.data import shape_drawing
from mobiledet.data.config import ShapesConfig
from mobiledet.data.shape_drawing import VisibleObject, draw_scene
from mobiledet.data.shapes import CATEGORIES, run, shapes_folder, write_shapes
from mobiledet.errors import UserError


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


@pytest.mark.parametrize(("split", "count"), [("train", 40), ("val", 12)])
def test_pycocotools_reads_the_set(shapes_dir: Path, split: str, count: int) -> None:
    coco = COCO(shapes_dir / "annotations" / f"instances_{split}2017.json")
    assert len(coco.getImgIds()) == count
    assert {c["name"]: c["id"] for c in coco.loadCats(coco.getCatIds())} == CATEGORIES
    assert len(coco.getAnnIds()) > 2 * count
    for image in coco.loadImgs(coco.getImgIds()):
        with Image.open(shapes_dir / f"{split}2017" / image["file_name"]) as picture:
            assert picture.format == "JPEG"
            assert picture.size == (image["width"], image["height"])


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # pycocotools under numpy 2
def test_annotations_describe_the_same_pixels(shapes_dir: Path) -> None:
    """Box, area and polygons of an object agree, as pycocotools rasterises the polygons."""
    coco = COCO(shapes_dir / "annotations" / "instances_train2017.json")
    for annotation in coco.loadAnns(coco.getAnnIds()):
        x, y, width, height = annotation["bbox"]
        image = coco.loadImgs(annotation["image_id"])[0]
        assert 0 <= x < x + width <= image["width"]
        assert 0 <= y < y + height <= image["height"]
        points = np.concatenate(annotation["segmentation"]).reshape(-1, 2)  # centres of border pixels
        np.testing.assert_array_equal(points.min(axis=0), (x, y))
        np.testing.assert_array_equal(points.max(axis=0), (x + width - 1, y + height - 1))
        mask = coco.annToMask(annotation)
        if annotation["category_id"] != CATEGORIES["ring"]:  # a polygon has no hole
            assert 0.75 * annotation["area"] <= mask.sum() <= 1.1 * annotation["area"]


def test_files_depend_on_the_seed_alone(tmp_path: Path) -> None:
    write_shapes(tmp_path / "one", 20, 4, seed=7, workers=1)
    write_shapes(tmp_path / "two", 20, 4, seed=7, workers=2)
    write_shapes(tmp_path / "other", 20, 4, seed=8, workers=1)
    one, two, other = (contents(tmp_path / name) for name in ("one", "two", "other"))
    assert len(one) == 26
    assert one == two
    assert one.keys() == other.keys()
    assert all(one[name] != other[name] for name in one)


def test_more_images_keep_the_first_ones(tmp_path: Path, shapes_dir: Path) -> None:
    write_shapes(tmp_path / "few", 3, 2, seed=3, workers=1)
    few = {name: data for name, data in contents(tmp_path / "few").items() if name.endswith(".jpg")}
    assert few.items() <= contents(shapes_dir).items()


def test_validation_images_are_held_out(shapes_dir: Path) -> None:
    train = {path.read_bytes() for path in (shapes_dir / "train2017").iterdir()}
    val = {path.read_bytes() for path in (shapes_dir / "val2017").iterdir()}
    assert (len(train), len(val)) == (40, 12)
    assert not train & val


# ------------------------------------------------------------------------- what is annotated, on circles put by hand

Circle = tuple[float, float, float]  # centre x, centre y, radius
Scene = tuple[np.ndarray, list[VisibleObject]]


def scene_of(monkeypatch: pytest.MonkeyPatch, circles: list[Circle], first_seed: int = 0) -> Scene:
    """Draw exactly these circles, in this order, on a 200 x 200 image."""
    monkeypatch.setattr(shape_drawing, "SHAPES", {"circle": shape_drawing.SHAPES["circle"]})
    monkeypatch.setattr(shape_drawing, "IMAGE_SIDES", (200, 200))
    waiting: Iterator[Circle] = iter(())
    monkeypatch.setattr(shape_drawing, "_place", lambda *_: next(waiting))
    for seed in range(first_seed, first_seed + 1000):  # until the random number of objects is that of the circles
        waiting = iter([*circles, *[(math.nan, 0.0, 0.0)] * 6])
        try:
            scene = draw_scene(np.random.default_rng(seed))
        except ValueError:  # more objects than circles: NaN
            continue
        if math.isnan(next(waiting)[0]):
            return scene
    raise AssertionError("no seed draws so many objects")


def test_box_and_area_are_those_of_the_circle(monkeypatch: pytest.MonkeyPatch) -> None:
    image, objects = scene_of(monkeypatch, [(50.5, 60.5, 20), (150.5, 120.5, 40)])
    assert image.shape == (200, 200, 3)
    for item, (x, y, radius) in zip(objects, [(50, 60, 20), (150, 120, 40)], strict=True):
        assert item.box == pytest.approx((x - radius, y - radius, 2 * radius, 2 * radius), abs=2)
        assert math.sqrt(item.area / math.pi) == pytest.approx(radius, abs=0.8)


@pytest.mark.parametrize(("distance", "annotated"), [(26, 2), (6, 1)])
def test_object_hidden_for_more_than_half_is_not_annotated(
    monkeypatch: pytest.MonkeyPatch, distance: int, annotated: int
) -> None:
    """Circles of radius 30: at 26 pixels the first is hidden for 46 %, at 6 pixels for 87 %."""
    _, objects = scene_of(monkeypatch, [(80.5, 100.5, 30), (80.5 + distance, 100.5, 30)])
    assert len(objects) == annotated
    assert objects[-1].box == pytest.approx((50 + distance, 70, 60, 60), abs=2)
    if annotated == 2:  # the tight box of what is left: up to where the two circles cross
        crossing = 2 * math.sqrt(30**2 - (distance / 2) ** 2)
        assert objects[0].box[:2] == pytest.approx((50, 70), abs=2)
        assert objects[0].box[2] == pytest.approx(30 + distance / 2, abs=3)
        assert crossing < objects[0].box[3] <= 62


@pytest.mark.parametrize(("x", "annotated"), [(5, 1), (-5, 0)])
def test_object_cut_by_the_border_for_more_than_half_is_not_annotated(
    monkeypatch: pytest.MonkeyPatch, x: int, annotated: int
) -> None:
    _, objects = scene_of(monkeypatch, [(x, 100, 30)])
    assert len(objects) == annotated
    assert all(item.box[0] == 0 and item.box[2] == pytest.approx(35, abs=2) for item in objects)


@pytest.mark.parametrize("grey", [0, 60, 128, 200, 255])
@pytest.mark.parametrize("seed", range(4))
def test_objects_stand_out_from_the_background(monkeypatch: pytest.MonkeyPatch, grey: int, seed: int) -> None:
    def background(_: np.random.Generator, height: int, width: int) -> np.ndarray:
        return np.full((height, width, 3), (grey, 128, 128), np.float32)

    monkeypatch.setattr(shape_drawing, "_background", background)
    image, _ = scene_of(monkeypatch, [(100, 100, 50)], first_seed=1000 * seed)
    distance = np.linalg.norm(image.astype(float) - (grey, 128, 128), axis=2)
    # half of the object at least: stripes and spots have a second colour; RGB distance, noise stays below 8 a channel
    assert np.median(distance[70:130, 70:130]) > 45
    assert np.median(distance[:40]) < 20


def test_existing_folder_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    with pytest.raises(UserError, match="out exists already"):
        write_shapes(tmp_path / "out", 1, 1)
    with pytest.raises(UserError, match="out was not written by mobiledet shapes"):
        run(ShapesConfig(tmp_path / "out", train=2, val=1, overwrite=True))
    assert contents(tmp_path) == {"out/mine.txt": b"x"}


@pytest.mark.parametrize("old", ["another COCO set", "a file"])
def test_nothing_but_shapes_is_overwritten(tmp_path: Path, old: str) -> None:
    path = tmp_path / "out"
    if old == "a file":
        path.write_text("x")
    else:
        (path / "annotations").mkdir(parents=True)
        (path / "annotations" / "instances_val2017.json").write_text('{"info": {"description": "COCO 2017"}}')
    before = contents(tmp_path), path.is_file()
    with pytest.raises(UserError, match="out was not written by mobiledet shapes"):
        write_shapes(path, 1, 1, overwrite=True)
    assert (contents(tmp_path), path.is_file()) == before


@pytest.mark.parametrize("empty", [True, False])
def test_empty_folder_and_shapes_are_overwritten(tmp_path: Path, empty: bool) -> None:
    if empty:
        (tmp_path / "out").mkdir()
    else:
        write_shapes(tmp_path / "out", 0, 7, seed=1, workers=1)
    run(ShapesConfig(tmp_path / "out", train=2, val=1, overwrite=True))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["annotations", "train2017", "val2017"]
    assert len(contents(tmp_path)) == 5


def test_bad_arguments_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="val is -1"):
        write_shapes(tmp_path / "out", 1, -1)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot write"):
        write_shapes(tmp_path / "file" / "out", 1, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_cached_set_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBILEDET_CACHE", str(tmp_path))
    folder = shapes_folder(train=3, val=2, seed=5)
    assert folder.parent == tmp_path
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert len(before) == 10
    assert shapes_folder(train=3, val=2, seed=5) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert shapes_folder(train=2, val=2, seed=5) != folder
