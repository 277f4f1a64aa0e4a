import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import tyro

from mobiledet import cli
from mobiledet.checkpoint import load_checkpoint
from mobiledet.detectors import DETECTORS, detector_from_spec
from mobiledet.errors import UserError
from mobiledet.spec import InputSpec, ModelSpec, image_sides
from mobiledet.training.config import TrainConfig
from mobiledet.training.engine import TrainResult, train
from mobiledet.training.finetune import class_tensors, load_start_weights
from mobiledet.training.recipes import RECIPES, base_config_of_arguments
from mobiledet.training.setup import describe_data, load_data, make_spec

Settings = Callable[[Path], TrainConfig]


def own_classes(shapes: Path, folder: Path, names: tuple[str, ...]) -> Path:
    """The shapes as somebody's own set: other names, other ids, perhaps fewer classes."""
    shutil.copytree(shapes, folder)
    for path in (folder / "annotations").iterdir():
        listing = json.loads(path.read_text())
        places = {category["id"]: place % len(names) for place, category in enumerate(listing["categories"])}
        for annotation in listing["annotations"]:
            annotation["category_id"] = 10 + 3 * places[annotation["category_id"]]
        listing["categories"] = [{"id": 10 + 3 * place, "name": name} for place, name in enumerate(names)]
        path.write_text(json.dumps(listing))
    return folder


@pytest.mark.parametrize("names", [("cup", "plate"), tuple("abcdef")])
def test_own_classes_keep_all_but_the_class_layers(
    settings: Settings,
    trained: TrainResult,
    tiny_shapes: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    names: tuple[str, ...],
) -> None:
    data = own_classes(tiny_shapes, tmp_path / "own", names)
    config = dataclasses.replace(
        # with a rate so small that the weights stay what they were at the start
        settings(tmp_path / "run"),
        data=str(data),
        init=trained.best,
        epochs=1,
        lr=1e-12,
        weight_decay=0.0,
    )
    result = train(config, quiet=False)
    before, after = load_checkpoint(trained.best), load_checkpoint(result.best)
    assert after.spec.labels == names
    assert after.spec.category_ids == tuple(10 + 3 * place for place in range(len(names)))
    kept = {
        name
        for name, tensor in after.weights.items()
        if tensor.shape == before.weights[name].shape and torch.allclose(tensor, before.weights[name], atol=1e-6)
    }
    statistics = {name for name in after.weights if "running_" in name or "num_batches" in name}
    assert after.weights.keys() - kept - statistics == {"head.classes.weight", "head.classes.bias"}
    differ = f"because the classes differ (6 in the file, {len(names)} here)"
    line = f"initialised randomly, {differ}: head.classes.bias, head.classes.weight"
    assert line in " ".join(capfd.readouterr().out.split())


def test_same_classes_keep_everything(trained: TrainResult) -> None:
    checkpoint = load_checkpoint(trained.best)
    detector = detector_from_spec(checkpoint.spec)
    line = load_start_weights(detector, checkpoint.spec, checkpoint, trained.best)
    assert line.endswith("the classes are the same")
    for name, tensor in detector.state_dict().items():
        assert torch.equal(tensor, checkpoint.weights[name])
    boxed = dataclasses.replace(checkpoint.spec.input, resize="letterbox")
    line = load_start_weights(detector, dataclasses.replace(checkpoint.spec, input=boxed), checkpoint, trained.best)
    assert "its images were resized by stretch, here by letterbox (grey, centre)" in line


@pytest.mark.parametrize("detector", DETECTORS)
def test_class_layers_are_in_the_head(detector: str) -> None:
    spec = ModelSpec("tiny", "shufflenet_v2_0.5x", detector, InputSpec(64, 64), ("cat", "dog"), (1, 2))
    names = class_tensors(spec)
    assert names
    assert not any(name.startswith(("backbone.", "neck.")) for name in names)


def test_the_command_line_takes_the_network_of_the_checkpoint(trained: TrainResult) -> None:
    spec = load_checkpoint(trained.best).spec
    words = ["--init", str(trained.best)]
    config = tyro.cli(TrainConfig, default=base_config_of_arguments(words), args=words)
    assert (config.backbone, config.detector) == (spec.backbone, spec.detector)
    assert image_sides(config.image_size) == (spec.input.height, spec.input.width)
    tuned = base_config_of_arguments([*words, "--recipe", "finetune"])
    assert (tuned.backbone, tuned.epochs) == (spec.backbone, RECIPES["finetune"].settings["epochs"])
    other = base_config_of_arguments([*words, "--recipe", "nanodet_plus_m_320"])
    assert (other.backbone, other.image_size) == ("shufflenet_v2_1x", 320)
    words += ["--image-size", "128", "--resize", "letterbox"]
    changed = tyro.cli(TrainConfig, default=base_config_of_arguments(words), args=words)
    assert (changed.backbone, changed.image_size, changed.resize) == (spec.backbone, 128, "letterbox")


def test_random_weights_for_few_images_are_reported(tiny_shapes: Path) -> None:
    config = TrainConfig(data=str(tiny_shapes))
    train_set, val_set = load_data(config)
    spec = make_spec(config, train_set)
    by_paths = {"data": "shapes", "train_images": tiny_shapes / "train2017"}
    cases: list[tuple[dict[str, Any], bool]] = [
        ({}, True),
        (by_paths, True),
        ({"data": "shapes"}, False),
        ({"pretrained": "imagenet"}, False),
    ]
    for changes, is_reported in cases:
        lines = describe_data(dataclasses.replace(config, **changes), spec, train_set, val_set)
        assert any("--init nanodet_plus_m_320" in line for line in lines) == is_reported


def test_a_file_or_name_that_does_not_exist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "--init", "nanodet", "--out", str(tmp_path / "run")]) == 2
    assert "no checkpoint at nanodet, and no published detector has that name" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_another_network(settings: Settings, trained: TrainResult, tmp_path: Path) -> None:
    config = dataclasses.replace(settings(tmp_path / "run"), init=trained.best, backbone="shufflenet_v2_1x")
    with pytest.raises(UserError, match=r"give --backbone shufflenet_v2_0\.5x --detector ssdlite_fpn"):
        train(config)


def test_other_anchors(settings: Settings, trained: TrainResult, tmp_path: Path) -> None:
    config = dataclasses.replace(settings(tmp_path / "run"), init=trained.best, anchors="fit")
    with pytest.raises(UserError, match=r"checkpoint of another model: .*head\.boxes"):
        train(config)


def test_frozen_backbone_stays_as_it_is(settings: Settings, trained: TrainResult, tmp_path: Path) -> None:
    config = dataclasses.replace(
        settings(tmp_path / "run"), init=trained.best, epochs=1, freeze_backbone=True, weight_decay=0.5
    )
    before, after = load_checkpoint(trained.best).weights, load_checkpoint(train(config).best).weights
    for name, tensor in before.items():
        if name.startswith("backbone."):
            assert torch.equal(tensor, after[name]), name
    assert any(not torch.equal(before[name], after[name]) for name in before if name.startswith("neck."))


def test_freezing_random_weights_is_refused(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="give it weights with --pretrained or --init"):
        train(dataclasses.replace(settings(tmp_path / "run"), freeze_backbone=True))


def test_resumed_run_needs_the_file_no_more(settings: Settings, trained: TrainResult, tmp_path: Path) -> None:
    start = tmp_path / "start.ckpt"
    shutil.copy(trained.best, start)
    train(dataclasses.replace(settings(tmp_path / "run"), init=start, epochs=1))
    start.unlink()
    assert train(TrainConfig(resume=tmp_path / "run")).best.is_file()
