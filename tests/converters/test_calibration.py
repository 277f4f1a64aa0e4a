"""Which images calibrate, and which are refused."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobiledet.checkpoint import Checkpoint, save_checkpoint
from mobiledet.data.record import DataRecord, ImageFileList
from mobiledet.data.shapes import CATEGORIES, write_shapes
from mobiledet.errors import UserError
from mobiledet.spec import InputSpec, ModelSpec
from mobiledet_converters.calibration import Calibration, choose_calibration
from mobiledet_converters.config import ExportConfig

SPEC = ModelSpec("m", "b", "d", InputSpec(64, 96), tuple(CATEGORIES), tuple(CATEGORIES.values()))
OTHER = dataclasses.replace(SPEC, labels=("cat", "dog"), category_ids=(1, 2))

Choose = Callable[..., Calibration]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "set"
    write_shapes(folder, train=9, val=3, seed=1, workers=1)
    return folder


@pytest.fixture
def choose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Choose:
    """Chooses for a checkpoint in a run folder with the given settings."""
    monkeypatch.setenv("MOBILEDET_CACHE", str(tmp_path / "cache"))

    def choose(spec: ModelSpec = SPEC, run: dict[str, object] | None = None, **options: object) -> Calibration:
        if run is not None:
            (tmp_path / "config.json").write_text(json.dumps({"config": run}))
        config = ExportConfig(tmp_path / "best.ckpt", **options)  # type: ignore[arg-type]
        return choose_calibration(config, tmp_path / "best.ckpt", spec)

    return choose


def settings(data: Path | str, **more: object) -> dict[str, object]:
    return {"data": str(data), "train_images": None, "val_images": None, **more}


def test_training_images_of_the_run_by_default(choose: Choose, shapes: Path) -> None:
    found = choose(run=settings(shapes))
    assert len(found.images) == 9
    assert {path.parent for path in found.images} == {shapes / "train2017"}
    assert found.record() == {"source": str(shapes / "train2017"), "images": 9, "seed": 0}
    assert not found.warning


def test_own_training_folder_of_the_run(choose: Choose, shapes: Path) -> None:
    run = settings("shapes", train_images=str(shapes / "train2017"), val_images=str(shapes / "val2017"))
    assert choose(run=run).source == str(shapes / "train2017")


def test_sample_depends_on_number_and_seed_alone(choose: Choose, shapes: Path) -> None:
    first = choose(calibration=str(shapes), calibration_images=4)
    assert len(set(first.images)) == 4
    assert list(first.images) == sorted(first.images)
    assert choose(calibration=str(shapes), calibration_images=4) == first
    assert choose(calibration=str(shapes), calibration_images=4, calibration_seed=1).images != first.images


def test_images_have_the_size_of_the_model(choose: Choose, shapes: Path) -> None:
    pixels = choose(calibration=str(shapes), calibration_images=2).load(SPEC.input)
    assert (pixels.shape, pixels.dtype) == ((2, 64, 96, 3), np.uint8)
    assert pixels.std() > 10


def test_coco_means_the_training_part_of_data(choose: Choose, shapes: Path) -> None:
    assert choose(calibration="coco", data=str(shapes)).source == str(shapes / "train2017")
    assert choose(calibration="coco", run=settings(shapes)).source == str(shapes / "train2017")
    with pytest.raises(UserError, match="--calibration coco needs --data"):
        choose(calibration="coco", run=settings("shapes"))


def test_training_part_of_data_where_the_checkpoint_names_none(choose: Choose, shapes: Path, tmp_path: Path) -> None:
    found = choose(data=str(shapes))
    assert (found.source, found.warning) == (str(shapes / "train2017"), "")
    shutil.copytree(shapes / "val2017", tmp_path / "val2017")
    shutil.copytree(shapes / "annotations", tmp_path / "annotations", ignore=lambda *_: ["instances_train2017.json"])
    instead = choose(data=str(tmp_path))
    assert instead.source == "built-in shapes, training images"
    assert f"cannot be found ({tmp_path}" in instead.warning


def test_plain_folder_of_pictures(choose: Choose, shapes: Path, tmp_path: Path) -> None:
    shutil.copytree(shapes / "train2017", tmp_path / "pictures")
    assert len(choose(spec=OTHER, calibration=str(tmp_path / "pictures")).images) == 9


def test_built_in_shapes(choose: Choose, tmp_path: Path) -> None:
    found = choose(calibration="shapes", calibration_images=3)
    assert len(found.images) == 3
    assert choose(run=settings("shapes"), calibration_images=3) == found
    assert not found.warning
    # also of a model whose classes are among those of the shapes: it may have learnt from other pictures
    for spec in (SPEC, OTHER):
        instead = choose(spec, settings(tmp_path / "gone"), calibration_images=3)
        assert instead.images == found.images
        assert "the training images of this checkpoint cannot be found" in instead.warning


@pytest.mark.parametrize("name", ["val2017", "annotations/../val2017"])
def test_validation_images_are_refused(choose: Choose, shapes: Path, name: str) -> None:
    with pytest.raises(UserError, match="contains only validation images"):
        choose(calibration=str(shapes / name))


def test_validation_images_of_the_run_are_refused(choose: Choose, shapes: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    shutil.copytree(shapes / "train2017", pictures)
    with pytest.raises(UserError, match="contains only validation images"):
        choose(calibration=str(pictures), run=settings("shapes", val_images=str(pictures)))


def test_other_classes_are_refused(choose: Choose, shapes: Path) -> None:
    with pytest.raises(
        UserError, match=r"has other classes \(circle, square, triangle, star and 2 more\) than m \(cat, dog"
    ):
        choose(spec=OTHER, calibration=str(shapes))
    with pytest.raises(UserError, match="the built-in set has other classes"):
        choose(spec=OTHER, calibration="shapes")


def test_bad_folders_are_told(choose: Choose, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty holds no images"):
        choose(calibration=str(tmp_path / "empty"))
    with pytest.raises(UserError, match=r"--calibration .*nowhere does not exist"):
        choose(calibration=str(tmp_path / "nowhere"))
    (tmp_path / "half" / "annotations").mkdir(parents=True)
    with pytest.raises(UserError, match="half holds no images"):
        choose(calibration=str(tmp_path / "half"))


def test_broken_image_is_named(choose: Choose, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_bytes(b"no jpeg")
    with pytest.raises(UserError, match=r"cannot decode image .*a\.jpg"):
        choose(calibration=str(tmp_path / "pictures")).load(SPEC.input)


@pytest.mark.parametrize(("option", "value"), [("calibration_images", 0), ("calibration_seed", -1)])
def test_numbers_out_of_range_are_told(choose: Choose, option: str, value: int) -> None:
    with pytest.raises(UserError, match=f"--{option.replace('_', '-')}"):
        choose(**{option: value})


def listing(folder: Path, files: list[str], turned: tuple[int, ...] = ()) -> ImageFileList:
    return ImageFileList("set-train", str(folder), tuple(files), turned, tuple(CATEGORIES), "")


@pytest.fixture
def choose_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Calibration]:
    """Chooses for a checkpoint that carries the lists of its pictures."""
    monkeypatch.setenv("MOBILEDET_CACHE", str(tmp_path / "cache"))

    def choose(train: ImageFileList, val: ImageFileList, on_bad_data: str = "error", **options: object) -> Calibration:
        record = DataRecord({"data": train.root, "on_bad_data": on_bad_data}, train, val)
        save_checkpoint(tmp_path / "best.ckpt", Checkpoint(SPEC, {}, data=record.to_json()))
        config = ExportConfig(tmp_path / "best.ckpt", **options)  # type: ignore[arg-type]
        return choose_calibration(config, tmp_path / "best.ckpt", SPEC)

    return choose


def test_listed_images_calibrate_wherever_they_lie(
    choose_recorded: Callable[..., Calibration], shapes: Path, tmp_path: Path
) -> None:
    names = sorted(path.name for path in (shapes / "train2017").iterdir())
    folder = tmp_path / "set" / "cam0" / "day 1"
    folder.mkdir(parents=True)
    for name in names:
        shutil.copy(shapes / "train2017" / name, folder / name)
    train = listing(tmp_path / "set", [f"cam0/day 1/{name}" for name in names[:5]])
    val = listing(tmp_path / "set", [f"cam0/day 1/{name}" for name in names[5:]])
    found = choose_recorded(train, val)
    assert {path.name for path in found.images} == set(names[:5])  # never those of validation in the same folder
    assert not found.warning
    # the folder itself, named: without the validation images in it, which is said
    named = choose_recorded(train, val, calibration=str(folder))
    assert {path.name for path in named.images} == set(names[:5])
    assert "4 validation images" in named.warning
    # moved: --data says where
    (tmp_path / "set").rename(tmp_path / "moved")
    assert "cannot be found" in choose_recorded(train, val).warning
    moved = choose_recorded(train, val, data=str(tmp_path / "moved"))
    assert {path.name for path in moved.images} == set(names[:5])


def test_damaged_images_are_passed_over_as_in_training(
    choose_recorded: Callable[..., Calibration], shapes: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(shapes / "train2017", tmp_path / "pictures")
    names = sorted(path.name for path in folder.iterdir())
    for name in names[:3]:
        (folder / name).write_bytes(b"cut off")
    train, val = listing(folder, names), listing(folder, [])
    with pytest.raises(
        UserError, match=r"cannot decode image .*pass --on-bad-data skip, or choose other images with --cal"
    ):
        choose_recorded(train, val).load(SPEC.input)
    assert len(choose_recorded(train, val, "skip", calibration_images=6).load(SPEC.input)) == 6
    assert len(choose_recorded(train, val, "skip").load(SPEC.input)) == 6


def test_images_are_turned_as_in_training(choose_recorded: Callable[..., Calibration], tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:, :48] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    (upright,) = choose_recorded(listing(tmp_path, ["a.png"]), listing(tmp_path, [])).load(SPEC.input)
    (turned,) = choose_recorded(listing(tmp_path, ["a.png"], (0,)), listing(tmp_path, [])).load(SPEC.input)
    assert upright[:, :40].mean() > 250
    assert upright[:, 56:].mean() < 5
    assert turned[:25].mean() > 250
    assert turned[40:].mean() < 5
