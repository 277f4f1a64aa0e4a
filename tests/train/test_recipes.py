import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tyro

from mobiledet import cli
from mobiledet.backbones import check_backbone
from mobiledet.data.transforms import Augmentation, train_transform
from mobiledet.train.config import TrainConfig
from mobiledet.train.engine import train
from mobiledet.train.optimization import highest_lr
from mobiledet.train.recipes import AUGMENTATIONS, RECIPES, recipe_config, settings_before_options
from mobiledet.train.run_folder import config_from_json, config_to_json
from mobiledet.train.setup import check_settings


def from_words(*words: str) -> TrainConfig:
    return tyro.cli(TrainConfig, default=settings_before_options(words), args=words)


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_is_sound_and_names_its_source(name: str) -> None:
    config = recipe_config(name)
    check_settings(config)
    check_backbone(config.backbone)
    assert config.recipe == name
    assert config.image_size % 32 == 0
    assert RECIPES[name].source
    assert (RECIPES[name].target_map is None) == (name == "finetune")


def test_every_augmentation_can_be_chosen_and_built() -> None:
    choices = dataclasses.fields(TrainConfig)
    chosen = next(field for field in choices if field.name == "augmentation")
    assert re.findall(r"['\"]([^'\"]+)['\"]", str(chosen.type)) == list(AUGMENTATIONS)
    for changes in AUGMENTATIONS.values():
        train_transform(64, 64, Augmentation(**changes))


def test_option_wins_over_recipe_and_recipe_over_default() -> None:
    config = from_words("--recipe", "torchvision_ssdlite", "--epochs=5", "--lr", "0.1")
    assert (config.epochs, config.lr) == (5, 0.1)
    assert (config.optimizer, config.weight_decay, config.lr_batch_size) == ("sgd", 4e-5, 192)
    assert config.workers == TrainConfig().workers
    assert from_words("--recipe=nanodet_416").image_size == 416
    assert from_words() == TrainConfig()


def test_qat_is_short_and_careful_by_default() -> None:
    config = from_words("--qat", "--init", "best.ckpt")
    assert (config.qat, config.epochs, config.lr) == (True, 3, 5e-4)
    assert from_words("--qat", "--lr=0.1", "--epochs", "9").lr == 0.1
    assert from_words("--no-qat") == TrainConfig()
    assert from_words("--qat", "--recipe=torchvision_ssdlite").lr == 0.15


def test_recipe_keeps_its_meaning_with_another_batch() -> None:
    assert highest_lr(recipe_config("torchvision_ssdlite")) == 0.15
    assert highest_lr(recipe_config("torchvision_ssdlite", batch_size=64)) == pytest.approx(0.05)
    assert highest_lr(TrainConfig(lr=0.01, batch_size=7)) == 0.01


def test_settings_survive_config_json() -> None:
    config = recipe_config("torchvision_faster_rcnn_320", init=Path("a.ckpt"))
    record = json.loads(json.dumps({"config": config_to_json(config)}))
    assert config_from_json(record, Path("config.json")) == config


def test_unknown_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--recipe", "torchvision_ssd_lite"]) == 2
    assert "unknown recipe 'torchvision_ssd_lite'; did you mean torchvision_ssdlite" in capsys.readouterr().err


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--recipe", "list"]) == 0
    output = capsys.readouterr().out
    for name, recipe in RECIPES.items():
        assert f"{name}: " in output
        assert recipe.source in output
    assert "mAP 21.3 on val2017" in output


def test_run_records_recipe_and_final_values(tiny_shapes: Path, tmp_path: Path) -> None:
    changes = {"backbone": "shufflenet_v2_0.5x", "image_size": 64, "epochs": 1, "batch_size": 8, "workers": 0}
    own = {"data": str(tiny_shapes), "accelerator": "cpu", "out": tmp_path / "run"}
    train(recipe_config("torchvision_ssdlite", **changes, **own))
    record = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert (record["recipe"], record["batch_size"], record["lr"]) == ("torchvision_ssdlite", 8, 0.15)


def test_recipes_need_no_torch() -> None:
    loads = "import mobiledet.train.recipes, sys; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True).stdout == "False\n"
