"""What training makes of its data: told at the start, kept in the checkpoint, the same on --resume."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mobiledet.checkpoint import load_checkpoint
from mobiledet.data.record import DataRecord
from mobiledet.errors import UserError
from mobiledet.training.config import TrainConfig
from mobiledet.training.engine import TrainResult, train
from mobiledet.training.recipes import base_config_of_arguments
from mobiledet.training.resume import resumed_config
from mobiledet.training.setup import load_data

Settings = Callable[[Path], TrainConfig]


@pytest.fixture
def own_data(tiny_shapes: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_shapes, tmp_path / "data")


def edit(folder: Path, part: str, change: Callable[[dict], object]) -> None:
    path = folder / "annotations" / f"instances_{part}2017.json"
    listing = json.loads(path.read_text())
    change(listing)
    path.write_text(json.dumps(listing))


def test_the_checkpoint_lists_its_pictures(trained: TrainResult, tiny_shapes: Path) -> None:
    for name in ("best.ckpt", "last.ckpt"):
        record = DataRecord.from_json(load_checkpoint(trained.folder / name).data, name)
        assert record.train.files == tuple(f"train2017/{number:012}.jpg" for number in range(1, 25))
        assert record.val.files == tuple(f"val2017/{number:012}.jpg" for number in range(1, 9))
        assert record.train.root == record.options["data"] == str(tiny_shapes)
        assert [picture.path.is_file() for picture in record.val.existing_files()] == [True] * 8


def test_resume_takes_what_may_change_and_refuses_the_rest(trained: TrainResult, tmp_path: Path) -> None:
    folder = shutil.copytree(trained.folder, tmp_path / "run")
    for changes, text in (({"lr": 1e-4}, "--lr 0.0001"), ({"batch_size": 4, "seed": 3}, "--batch-size 4 --seed 3")):
        with pytest.raises(UserError, match=f"{text} cannot be changed on --resume; the run has .*--init"):
            train(TrainConfig(resume=folder, **changes))
    # on the command line an option that equals a default is meant as well
    own = base_config_of_arguments(["--resume", str(folder), "--epochs", "100"])
    assert (own.epochs, own.batch_size, own.out) == (3, 8, folder)
    assert resumed_config(dataclasses.replace(own, epochs=100)).epochs == 100
    with pytest.raises(UserError, match=r"--batch-size 32 --seed 1 cannot be changed .* has --batch-size 8 --seed 0"):
        resumed_config(dataclasses.replace(own, batch_size=32, lr=0.002, seed=1))
    with pytest.raises(UserError, match=r"--epochs 2: .*run has already done 3"):
        train(TrainConfig(resume=folder, epochs=2))
    longer = train(TrainConfig(resume=folder, epochs=4, eval_every=4))
    lines = [json.loads(line)["epoch"] for line in (longer.folder / "metrics.jsonl").read_text().splitlines()]
    assert lines == [1, 2, 3, 4]
    assert json.loads((folder / "config.json").read_text())["config"]["epochs"] == 4


def test_damage_is_known_before_the_first_epoch_and_skipped_on_resume(
    settings: Settings, own_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = own_data / "val2017" / "000000000003.jpg"
    damaged.write_bytes(damaged.read_bytes()[:-300])
    config = dataclasses.replace(settings(tmp_path / "run"), data=str(own_data), epochs=1)
    with pytest.raises(UserError, match=r"cannot decode image .*003\.jpg.*--on-bad-data skip"):
        train(config)
    assert not (tmp_path / "run" / "last.ckpt").exists()
    result = train(dataclasses.replace(config, on_bad_data="skip"), quiet=False)
    assert result.metrics.images == 7
    told = capsys.readouterr().out
    assert told.count("left out 1: 1 images that cannot be read; listed in") == 1
    assert "003.jpg" in (tmp_path / "run" / "left_out.txt").read_text()


def test_without_validation_boxes_the_newest_weights_are_kept(
    settings: Settings, own_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(own_data, "val", lambda listing: listing["annotations"].clear())
    config = dataclasses.replace(settings(tmp_path / "run"), data=str(own_data), epochs=2)
    result = train(config, quiet=False)
    assert load_checkpoint(result.best).spec.training.epochs == 2
    told = capsys.readouterr().out.replace("\n", " ")
    assert "the 8 validation images have no boxes: there will be no mAP" in told
    assert " -1" not in told
    assert "(best)" not in told
    assert [json.loads(line)["AP"] for line in (result.folder / "metrics.jsonl").read_text().splitlines()] == [None] * 2
    assert "-1.000" not in (result.folder / "report.html").read_text()


def test_classes_are_matched_by_name(settings: Settings, own_data: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(settings(tmp_path / "run"), data=str(own_data))
    _, before = load_data(config)

    def renumber(listing: dict) -> None:
        """Other numbers, another order, and no stars."""
        new = {category["id"]: 500 - category["id"] for category in listing["categories"]}
        star = next(category["id"] for category in listing["categories"] if category["name"] == "star")
        listing["categories"] = [{**c, "id": new[c["id"]]} for c in listing["categories"] if c["id"] != star]
        listing["annotations"] = [
            {**a, "category_id": new[a["category_id"]]} for a in listing["annotations"] if a["category_id"] != star
        ]

    edit(own_data, "val", renumber)
    train_set, val_set = load_data(config)
    assert (val_set.labels, val_set.category_ids) == (train_set.labels, train_set.category_ids)
    star = train_set.labels.index("star")
    assert val_set.objects == tuple(0 if k == star else count for k, count in enumerate(before.objects))
    edit(own_data, "val", lambda listing: listing["categories"].append({"id": 1, "name": "moon"}))
    with pytest.raises(UserError, match=r"has 1 classes that .* does not have: moon; it also lacks star"):
        load_data(config)


def test_a_set_smaller_than_a_batch_says_which_batch_would_do(
    settings: Settings, own_data: Path, tmp_path: Path
) -> None:
    def keep(count: int) -> None:
        edit(own_data, "train", lambda listing: listing.update(images=listing["images"][:count]))
        edit(own_data, "train", lambda listing: listing.update(annotations=of_images(listing)))

    def of_images(listing: dict) -> list[dict]:
        ids = {image["id"] for image in listing["images"]}
        return [annotation for annotation in listing["annotations"] if annotation["image_id"] in ids]

    config = dataclasses.replace(settings(tmp_path / "run"), data=str(own_data), batch_size=32, epochs=1)
    for accumulate, most in ((1, 24), (5, 20)):
        with pytest.raises(UserError, match=f"24 images, fewer than the batch size .*; give --batch-size {most}$"):
            train(dataclasses.replace(config, accumulate=accumulate, batch_size=40))
    keep(1)
    with pytest.raises(UserError, match="has 1 images, fewer than the batch size 32; at least 2 are needed"):
        train(config)
    assert not (tmp_path / "run").exists()


def test_one_class_is_trained(settings: Settings, own_data: Path, tmp_path: Path) -> None:
    for part in ("train", "val"):
        edit(own_data, part, one_class)
    result = train(dataclasses.replace(settings(tmp_path / "run"), data=str(own_data), epochs=1))
    assert list(result.metrics.per_class) == ["thing"]
    assert 'id="mistakes"' in (result.folder / "report.html").read_text()


def one_class(listing: dict) -> None:
    listing["categories"] = [{"id": 1, "name": "thing"}]
    for annotation in listing["annotations"]:
        annotation["category_id"] = 1


def test_a_class_without_training_boxes_is_named(
    settings: Settings, own_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(own_data, "train", lambda listing: listing["categories"].append({"id": 77, "name": "moon"}))
    config = dataclasses.replace(settings(tmp_path / "run"), data=str(own_data), epochs=1)
    train(config, quiet=False)
    assert "1 classes have no training box and cannot be learned: moon" in capsys.readouterr().out


def test_boxes_that_are_too_small_are_refused_or_told(settings: Settings, own_data: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(settings(tmp_path / "run"), data=str(own_data))

    def shrink(listing: dict) -> None:
        for annotation in listing["annotations"]:
            annotation["bbox"][2:] = [3, 3]

    edit(own_data, "train", shrink)
    with pytest.raises(UserError, match=r"boxes are shorter than 3 pixels at 64 x 64, .* with --image-size \d+ half"):
        train(config)
    assert not (tmp_path / "run").exists()


def test_the_same_pictures_in_both_parts_are_refused(settings: Settings, own_data: Path, tmp_path: Path) -> None:
    images, annotations = own_data / "val2017", own_data / "annotations" / "instances_val2017.json"
    config = dataclasses.replace(
        settings(tmp_path / "run"),
        train_images=images,
        train_annotations=annotations,
        val_images=images,
        val_annotations=annotations,
    )
    with pytest.raises(UserError, match="every validation image is also a training image"):
        load_data(config)
