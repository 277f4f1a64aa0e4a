import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision

from mobiledet.checkpoint import load_detector
from mobiledet.data.loader import build_loader
from mobiledet.data.read import load_split
from mobiledet.detectors import Detector
from mobiledet.errors import UserError
from mobiledet.training.config import TrainConfig
from mobiledet.training.engine import TrainResult, train
from mobiledet.training.optimization import AveragedWeights
from mobiledet.training.validation import validate

Settings = Callable[[Path], TrainConfig]


def test_run_folder_holds_what_a_user_looks_for(trained: TrainResult) -> None:
    names = {path.name for path in trained.folder.iterdir()}
    checkpoints = {"best.ckpt", "last.ckpt", "previous.ckpt"}
    assert names == checkpoints | {"config.json", "metrics.jsonl", "curves.jsonl", "report.html", "tensorboard"}
    record = json.loads((trained.folder / "config.json").read_text())
    assert record["config"]["backbone"] == "shufflenet_v2_0.5x"
    assert record["environment"]["torch"] == torch.__version__.split("+")[0] or record["environment"]["torch"]
    lines = [json.loads(line) for line in (trained.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert max(line["AP"] for line in lines) == trained.metrics.AP
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_tensorboard_log_holds_losses_and_map(trained: TrainResult) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(trained.folder / "tensorboard")).Reload()
    tags = set(log.Tags()["scalars"])
    assert {"loss/class", "loss/box", "train/lr", "train/images_per_s", "validation/mAP"} <= tags
    assert len(log.Scalars("validation/mAP")) == 3


def test_checkpoint_gives_the_map_that_was_reported(trained: TrainResult, tiny_shapes: Path) -> None:
    detector, spec = load_detector(trained.best)
    dataset = load_split(str(tiny_shapes), "val")
    assert spec.labels == dataset.labels
    assert spec.training.dataset == "shapes-train"
    loader = build_loader(dataset, 8, transform=None, spec=spec.input, shuffle=False, workers=0)
    assert validate(detector, spec, dataset, loader, torch.device("cpu")).metrics.AP == trained.metrics.AP


def test_resume_with_a_checkpoint_of_another_model(trained: TrainResult, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(trained.folder, folder)
    record = json.loads((folder / "config.json").read_text())
    record["config"]["backbone"] = "shufflenet_v2_1x"
    (folder / "config.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="checkpoint of another model"):
        train(TrainConfig(resume=folder))


def test_backbone_starts_from_the_weights_of_a_file(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = torchvision.models.mobilenet_v2(width_mult=0.35)
    torch.save(peer.state_dict(), tmp_path / "mobilenet.pth")
    started_from: list[torch.Tensor] = []
    original = AveragedWeights.__init__

    def note(self: AveragedWeights, model: Detector, decay: float) -> None:
        started_from.append(next(model.backbone.parameters()).detach().clone())
        original(self, model, decay)

    monkeypatch.setattr(AveragedWeights, "__init__", note)
    config = dataclasses.replace(
        settings(tmp_path / "run"),
        backbone="mobilenet_v2_0.35x",
        pretrained=str(tmp_path / "mobilenet.pth"),
        epochs=1,
    )
    train(config)
    assert torch.equal(started_from[0], next(peer.parameters()))
    # a resumed run has weights of its own and does not need the file any more
    (tmp_path / "mobilenet.pth").unlink()
    train(TrainConfig(resume=tmp_path / "run"))


def test_torchvision_network_as_backbone(settings: Settings, tmp_path: Path) -> None:
    config = dataclasses.replace(settings(tmp_path / "run"), backbone="torchvision:mobilenet_v3_small", epochs=1)
    detector, spec = load_detector(train(config).best)
    assert spec.name == "torchvision_mobilenet_v3_small-ssdlite_fpn-64"
    assert detector(torch.randn(1, 3, 64, 64)).class_logits.isfinite().all()


def test_an_existing_run_is_not_overwritten(settings: Settings, trained: TrainResult, tiny_shapes: Path) -> None:
    with pytest.raises(UserError, match="already holds a run"):
        train(settings(trained.folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone": "shufflenet_v2_2"}, "unknown backbone 'shufflenet_v2_2'; did you mean shufflenet_v2_2x"),
        ({"pretrained": "absent.pth"}, r"no checkpoint at absent\.pth"),
        (
            {"backbone": "fd_mobilenet_1x", "pretrained": "imagenet"},
            "torchvision and timm have no ImageNet weights of fd_mobilenet_1x",
        ),
        ({"detector": "ssd"}, "unknown detector 'ssd'; did you mean ssdlite"),
        ({"image_size": 100}, "sides are multiples of 32, not 100 x 100"),
        ({"batch_size": 100}, "fewer than the batch size 100"),
        ({"train_images": Path("pictures")}, "--train-images and --train-annotations need each other"),
        ({"epochs": 0}, "--epochs 0"),
        ({"lr": -1.0}, "--lr -1.0"),
    ],
)
def test_wrong_settings_are_told_in_one_line(
    settings: Settings, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    config = dataclasses.replace(settings(tmp_path / "run"), **change)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=message) as error:
        train(config)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_unwritable_run_folder(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write"):
        train(settings(tmp_path / "file" / "run"))


def test_divergence_names_the_step_and_the_images(settings: Settings, tmp_path: Path) -> None:
    config = dataclasses.replace(settings(tmp_path / "run"), lr=1e30, clip_norm=1e9, warmup_steps=1)
    with pytest.raises(UserError, match=r"the loss is (nan|inf) at step \d+, images \S+\.jpg"):
        train(config)


def test_damaged_image_stops_or_is_skipped(settings: Settings, tiny_shapes: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(tiny_shapes, data)
    damaged = data / "train2017" / "000000000005.jpg"
    damaged.write_bytes(damaged.read_bytes()[:400])
    config = dataclasses.replace(settings(tmp_path / "run"), data=str(data), epochs=1)
    with pytest.raises(UserError, match=r"000000000005\.jpg"):
        train(config)
    result = train(dataclasses.replace(config, out=tmp_path / "skipped", on_bad_data="skip"))
    assert result.best.is_file()


def test_two_processes_train_evaluate_and_agree_with_one(settings: Settings, tiny_shapes: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(settings(tmp_path / "run"), epochs=2, devices=2)
    result = train(config)
    detector, spec = load_detector(result.best)
    dataset = load_split(str(tiny_shapes), "val")
    loader = build_loader(dataset, 4, transform=None, spec=spec.input, shuffle=False, workers=0)
    # each process evaluated its share of the images; one process with the saved weights gets the same score
    alone = validate(detector, spec, dataset, loader, torch.device("cpu")).metrics
    assert (result.metrics.images, result.metrics.detections) == (alone.images, alone.detections)
    # the order of detections that have the same score to the last bit depends on how a process rounds
    assert abs(result.metrics.AP - alone.AP) < 1e-4


def test_a_mistake_found_by_one_of_two_processes_is_told_as_by_one(settings: Settings, tmp_path: Path) -> None:
    config = dataclasses.replace(settings(tmp_path / "run"), devices=2, backbone="shufflenet_v2_3x")
    with pytest.raises(UserError, match=r"^unknown backbone 'shufflenet_v2_3x'; did you mean"):
        train(config)


def test_batch_that_cannot_be_divided(settings: Settings, tmp_path: Path) -> None:
    config = dataclasses.replace(settings(tmp_path / "run"), devices=3)
    with pytest.raises(UserError, match="--batch-size 8 cannot be divided among --devices 3"):
        train(config)
