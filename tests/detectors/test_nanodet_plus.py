import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

from mobiledet.backbones import build_backbone
from mobiledet.checkpoint import Checkpoint, load_detector, save_checkpoint
from mobiledet.detectors import Targets, build_detector, detector_from_spec
from mobiledet.detectors.distribution_heads import DistributionOutputs
from mobiledet.detectors.nanodet_plus import NanoDetPlus
from mobiledet.errors import UserError
from mobiledet.options import NO_OPTIONS, DetectorOptions, NanoDetPlusOptions, OtherOptions
from mobiledet.spec import InputSpec, ModelSpec, NmsSpec
from mobiledet.training.config import TrainConfig
from mobiledet.training.finetune import load_start_weights
from mobiledet.training.setup import make_spec

CLASSES = 3


def nanodet(size: tuple[int, int] = (64, 96), options: DetectorOptions = NO_OPTIONS) -> NanoDetPlus:
    torch.manual_seed(0)
    detector = build_detector("nanodet_plus", build_backbone("shufflenet_v2_0.5x"), CLASSES, size, options)
    assert isinstance(detector, NanoDetPlus)
    return detector


def targets(images: int) -> Targets:
    boxes = torch.tensor([[4.0, 8.0, 40.0, 50.0], [60.0, 10.0, 90.0, 30.0]]).repeat(images, 1, 1)
    return Targets(boxes, torch.tensor([[0, 2]]).repeat(images, 1))


@pytest.mark.parametrize(("side", "cells"), [(416, 52**2 + 26**2 + 13**2 + 7**2), (320, 40**2 + 20**2 + 10**2 + 5**2)])
def test_grids_are_rounded_up(side: int, cells: int) -> None:
    with torch.device("meta"):
        detector = nanodet((side, side)).eval()
        raw = detector(torch.zeros(1, 3, side, side))
    assert raw.class_logits.shape == (1, cells, CLASSES)
    assert raw.distance_logits.shape == (1, cells, 32)
    priors = nanodet((side, side)).priors
    assert len(priors) == cells
    assert priors[-1].tolist() == [side - side % 64 - 64 * (side % 64 == 0)] * 2 + [64]


def test_guidance_is_there_in_training_alone() -> None:
    detector = nanodet()
    names = set(detector.state_dict())
    detector.add_training_parts()
    added = set(detector.state_dict()) - names
    assert added
    assert all(detector.is_training_part(name) for name in added)
    assert not any(detector.is_training_part(name) for name in names)
    losses = detector.train()(torch.randn(2, 3, 64, 96), targets(2))
    assert list(losses) == ["class", "box", "distribution", "guide_class", "guide_box", "guide_distribution"]
    without = nanodet(options=NanoDetPlusOptions(guidance=False))
    without.add_training_parts()
    assert set(without.state_dict()) == names


@pytest.mark.parametrize(("epoch", "shares_gradient"), [(9, True), (10, False)])
def test_guidance_is_detached_from_its_epoch_on(epoch: int, shares_gradient: bool) -> None:
    detector = nanodet().train()
    detector.add_training_parts()
    detector.start_epoch(epoch)
    losses = detector(torch.randn(2, 3, 64, 96), targets(2))
    torch.stack([loss for name, loss in losses.items() if name.startswith("guide_")]).sum().backward()
    reached = {name.partition(".")[0] for name, p in detector.named_parameters() if p.grad is not None}
    assert reached == ({"backbone", "neck", "guidance"} if shares_gradient else {"guidance"})
    assert all(p.grad is not None for p in detector.guidance.parameters())  # type: ignore[union-attr]


def test_no_loop_over_images() -> None:
    """A batch costs no more operations than an image."""
    detector = nanodet(options=NanoDetPlusOptions(guidance=False)).train()
    counts = []
    for images in (2, 6):
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
            detector.loss(_random_outputs(detector, images), None, detector.priors, targets(images))
        counts.append(sum(event.count for event in profile.key_averages()))
    assert counts[0] == counts[1]


def _random_outputs(detector: NanoDetPlus, images: int) -> DistributionOutputs:
    cells = len(detector.priors)
    return DistributionOutputs(torch.randn(images, cells, CLASSES) * 2, torch.randn(images, cells, 32) * 3)


def test_static_detections_are_the_dynamic_ones() -> None:
    detector = nanodet().eval()
    nms = NmsSpec(iou=0.6, score=0.05, top_k=200, max_detections=50)
    for seed in range(3):
        torch.manual_seed(seed)
        raw = _random_outputs(detector, 1)
        (dynamic,) = detector.postprocess(raw, nms)
        static = detector.postprocess_static(raw, nms)
        count = int(static.count)
        assert count == len(dynamic.scores) > 20
        torch.testing.assert_close(static.scores[0, :count], dynamic.scores)
        assert static.classes[0, :count].tolist() == dynamic.labels.tolist()
        pixels = static.boxes[0, :count, [1, 0, 3, 2]] * torch.tensor([96.0, 64.0, 96.0, 64.0])
        torch.testing.assert_close(pixels, dynamic.boxes_xyxy, atol=1e-3, rtol=1e-4)


def test_activation_is_everywhere_that_of_the_options() -> None:
    backbone = build_backbone("shufflenet_v2_0.5x", options={"activation": "leaky_relu"})
    detector = build_detector("nanodet_plus", backbone, CLASSES, (64, 64))
    kinds = {type(module) for module in detector.modules() if isinstance(module, nn.ReLU | nn.ReLU6 | nn.LeakyReLU)}
    assert kinds == {nn.LeakyReLU}
    assert {m.negative_slope for m in detector.modules() if isinstance(m, nn.LeakyReLU)} == {0.1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 100}, "channels 100 is not a multiple of 16"),
        ({"channels": "96"}, "detector_options.channels is '96', not of type int"),
        ({"activation": "relu7"}, "detector_options.activation is 'relu7', not one of leaky_relu, relu, relu6"),
        ({"guidance": 1}, "detector_options.guidance is 1, not of type bool"),
        ({"loss": "focal"}, "detector_options.loss is unknown; there are channels, activation, guidance, detach_epoch"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        nanodet(options=OtherOptions(options))


def test_wrong_size() -> None:
    with pytest.raises(UserError, match="multiples of 32, not 300 x 320"):
        nanodet((300, 320))


SPEC = ModelSpec(
    "nano",
    "shufflenet_v2_0.5x",
    "nanodet_plus",
    InputSpec(64, 64),
    ("a", "b"),
    (1, 2),
    backbone_options={"activation": "leaky_relu"},
)


def test_checkpoints_serve_with_and_without_the_guidance(tmp_path: Path) -> None:
    folder = tmp_path
    trained = detector_from_spec(SPEC)
    bare = trained.state_dict()
    trained.add_training_parts()
    for name, weights in (("bare", bare), ("whole", trained.state_dict())):
        save_checkpoint(folder / f"{name}.ckpt", Checkpoint(SPEC, weights))
        detector, spec = load_detector(folder / f"{name}.ckpt")
        assert spec.backbone_options == {"activation": "leaky_relu"}
        assert set(detector.state_dict()) == set(bare)
        own = detector_from_spec(spec)
        own.add_training_parts()
        told = load_start_weights(own, spec, Checkpoint(SPEC, weights), folder)
        assert ("because the file lacks them: guidance" in told) == (name == "bare")
        for tensor, values in weights.items():
            assert torch.equal(own.state_dict()[tensor], values), tensor


def test_new_classes_of_the_guidance_are_named_too(tmp_path: Path) -> None:
    trained = detector_from_spec(SPEC)
    trained.add_training_parts()
    spec = dataclasses.replace(SPEC, labels=("x",), category_ids=(5,))
    own = detector_from_spec(spec)
    own.add_training_parts()
    told = load_start_weights(own, spec, Checkpoint(SPEC, trained.state_dict()), tmp_path)
    assert "head.classes.0.weight" in told
    assert "guidance.head.classes.bias" in told
    assert torch.equal(own.state_dict()["guidance.head.factors"], trained.state_dict()["guidance.head.factors"])


def test_fitted_anchors_are_refused() -> None:
    config = TrainConfig(detector="nanodet_plus", anchors="fit")
    with pytest.raises(UserError, match="nanodet_plus uses no anchors"):
        make_spec(config, None)  # type: ignore[arg-type]  # refused before the data are looked at
