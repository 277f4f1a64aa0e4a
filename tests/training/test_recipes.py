import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import tyro

from mobiledet import cli
from mobiledet.backbones import check_backbone
from mobiledet.complexity import count_parameters
from mobiledet.data.transforms import Augmentation, train_transform
from mobiledet.errors import UserError
from mobiledet.keywords import texts_of
from mobiledet.options import OPTIONS, option_words, read_words
from mobiledet.spec import InputSpec
from mobiledet.training.config import TrainConfig
from mobiledet.training.engine import train
from mobiledet.training.optimization import peak_lr
from mobiledet.training.recipe_networks import recipe_network
from mobiledet.training.recipes import AUGMENTATIONS, RECIPES, base_config_of_arguments, recipe_config
from mobiledet.training.run_folder import config_from_json, config_to_json
from mobiledet.training.setup import check_settings
from mobiledet.zoo.catalogue import ZOO


def from_words(*words: str) -> TrainConfig:
    return tyro.cli(TrainConfig, default=base_config_of_arguments(words), args=words)


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
        train_transform(InputSpec(64, 64), Augmentation(**changes))


def test_option_wins_over_recipe_and_recipe_over_default() -> None:
    config = from_words("--recipe", "ssdlite320_mobilenet_v3_large", "--epochs=5", "--lr", "0.1")
    assert (config.epochs, config.lr) == (5, 0.1)
    assert (config.optimizer, config.weight_decay, config.lr_batch_size) == ("sgd", 4e-5, 192)
    assert config.workers == TrainConfig().workers
    assert from_words("--recipe=nanodet_plus_m_416").image_size == 416
    assert from_words() == TrainConfig()


def test_qat_is_short_and_careful_by_default() -> None:
    config = from_words("--qat")
    assert (config.qat, config.epochs, config.lr) == (True, 3, 5e-4)
    assert from_words("--qat", "--lr=0.1", "--epochs", "9").lr == 0.1
    assert from_words("--no-qat") == TrainConfig()
    assert from_words("--qat", "--recipe=ssdlite320_mobilenet_v3_large").lr == 0.15


def test_recipe_keeps_its_meaning_with_another_batch() -> None:
    assert peak_lr(recipe_config("ssdlite320_mobilenet_v3_large")) == 0.15
    assert peak_lr(recipe_config("ssdlite320_mobilenet_v3_large", batch_size=64)) == pytest.approx(0.05)
    assert peak_lr(TrainConfig(lr=0.01, batch_size=7)) == 0.01


def test_settings_survive_config_json() -> None:
    config = recipe_config("fasterrcnn_mobilenet_v3_large_320_fpn", init=Path("a.ckpt"))
    record = json.loads(json.dumps({"config": config_to_json(config)}))
    assert config_from_json(record, Path("config.json")) == config


def test_unknown_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--recipe", "ssdlite320_mobilnet_v3_large"]) == 2
    assert (
        "unknown recipe 'ssdlite320_mobilnet_v3_large'; did you mean ssdlite320_mobilenet_v3_large"
        in capsys.readouterr().err
    )


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--recipe", "list"]) == 0
    output = capsys.readouterr().out
    for name, recipe in RECIPES.items():
        assert f"{name}: " in output
        assert recipe.source in output
    assert "mAP 21.3 on val2017" in output


BOX = 1024 + 1  # weights and bias of one number of a box in torchvision's Faster R-CNN

# of the networks that the authors' code builds without their auxiliary head
NANODET_PARAMETERS = {"shufflenet_v2_1x": 1_197_924, "shufflenet_v2_1.5x": 2_477_792}


def count_weights(network: torch.nn.Module) -> int:
    """Of convolutions without biases and normalisation, as NanoDet's authors count them."""
    return sum(module.weight.numel() for module in network.modules() if isinstance(module, torch.nn.Conv2d))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_builds_the_network_whose_map_it_quotes(name: str) -> None:
    published = RECIPES[name].published_parameters
    with torch.device("meta"):
        network = recipe_network(name)
    parameters = count_parameters(network)
    if name.startswith("fasterrcnn"):
        frozen = sum(count_parameters(m) for m in network.backbone.modules() if isinstance(m, torch.nn.BatchNorm2d))
        # background has a box there, and frozen normalisation is not counted
        assert published == parameters - frozen + 4 * BOX
    elif published is not None and name.startswith("ssdlite"):
        assert parameters == published
    elif name.startswith("nanodet_plus"):
        assert count_weights(recipe_network(name)) == pytest.approx(published, abs=5000)
        assert parameters == NANODET_PARAMETERS[RECIPES[name].settings["backbone"]]
    elif published is not None:
        assert parameters == pytest.approx(published, rel=0.03)


def test_list_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--recipe", "list", "--json"]) == 0
    records = {record["name"]: record for record in json.loads(capsys.readouterr().out)}
    assert list(records) == list(RECIPES)
    ssdlite = records["ssdlite320_mobilenet_v3_large"]
    assert (ssdlite["parameters"], ssdlite["published_parameters"], ssdlite["classes"]) == (3_440_060, 3_440_060, 90)
    assert records["finetune"]["published_parameters"] is None
    zoo = [name for name in RECIPES if name in ZOO]
    assert len(zoo) >= 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("layers",), "is not NAME=VALUE"),
        (("layers=full", "layers=light"), "names layers twice"),
    ],
)
def test_wrong_options_of_networks(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_words(words, "--detector-options")


def test_options_of_networks_are_json_or_text() -> None:
    options = {"layers": "full", "channels": 256, "anchors": [[0.5, 1.0]], "agnostic": False}
    assert read_words(option_words(options), "--detector-options") == options
    assert read_words(["layers=full"], "--detector-options") == {"layers": "full"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--detector", "nanodet_plus", "--detector-options", "gidance=false"),
            "--detector-options: gidance is unknown; there are channels, activation, guidance, detach_epoch; ",
        ),
        (
            ("--detector", "ssdlite", "--detector-options", "layers=fulll"),
            "layers is 'fulll', not one of",
        ),
        (("--detector", "faster_rcnn", "--detector-options", "proposals=0"), "proposals is 0, not in 1..1048576"),
        (("--detector", "nanodet_plus", "--loss", "focal"), "--loss focal: nanodet_plus has only its own loss"),
    ],
)
def test_wrong_options_are_told_before_any_work(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", "--data", "/no/such/folder", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("detector", OPTIONS)
def test_help_of_the_options_names_types_and_defaults(detector: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--detector", detector, "--detector-options", "help"]) == 0
    output = capsys.readouterr().out
    assert max(map(len, output.splitlines())) <= 80
    shown = dict(re.findall(r"^  (\w+)=(\S+)   \S", output, re.MULTILINE))
    defaults = OPTIONS[detector]()
    assert {name: json.loads(value) for name, value in shown.items()} == json.loads(
        json.dumps(dataclasses.asdict(defaults))
    )
    assert all(texts_of(OPTIONS[detector])[name] for name in shown)


def test_run_records_recipe_and_final_values(tiny_shapes: Path, tmp_path: Path) -> None:
    changes = {"backbone": "shufflenet_v2_0.5x", "image_size": 64, "epochs": 1, "batch_size": 8, "workers": 0}
    own = {"data": str(tiny_shapes), "accelerator": "cpu", "out": tmp_path / "run"}
    train(recipe_config("ssdlite320_mobilenet_v3_large", **changes, **own))
    record = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert (record["recipe"], record["batch_size"], record["lr"]) == ("ssdlite320_mobilenet_v3_large", 8, 0.15)


def test_recipes_need_no_torch() -> None:
    loads = "import mobiledet.training.recipes, sys; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True).stdout == "False\n"
