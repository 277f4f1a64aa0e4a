"""What holds for every detector."""

import dataclasses
from typing import get_args, get_type_hints

import pytest
import torch

from mobiledet.backbones import BACKBONES, build_backbone
from mobiledet.detectors import DETECTORS, Targets, build_detector
from mobiledet.detectors.box_heads import BOX_HEADS
from mobiledet.detectors.losses import LOSSES
from mobiledet.errors import UserError
from mobiledet.layers import ACTIVATIONS
from mobiledet.options import (
    OPTIONS,
    FasterRcnnOptions,
    NanoDetPlusOptions,
    OtherOptions,
    SsdLiteFpnOptions,
    SsdLiteOptions,
)

CLASSES = 3


def targets(images: int) -> Targets:
    boxes = torch.tensor([[4.0, 8.0, 40.0, 50.0], [60.0, 10.0, 90.0, 30.0]]).repeat(images, 1, 1)
    return Targets(boxes, torch.tensor([[0, 2]]).repeat(images, 1))


@pytest.mark.parametrize("key", DETECTORS)
def test_steps_lower_the_loss_of_their_batch(key: str) -> None:
    torch.manual_seed(0)
    detector = build_detector(key, build_backbone("shufflenet_v2_0.5x"), CLASSES, (64, 96))
    optimizer = torch.optim.AdamW(detector.parameters(), lr=3e-3)
    images = torch.randn(4, 3, 64, 96)
    losses = []
    for _ in range(20):
        loss = torch.stack(list(detector(images, targets(4)).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    # processes that train together wait for the gradient of every tensor
    assert all(parameter.grad is not None for parameter in detector.parameters())


@pytest.mark.parametrize("key", BACKBONES)
def test_every_backbone_serves_every_detector(key: str) -> None:
    for detector_key in DETECTORS:
        detector = build_detector(detector_key, build_backbone(key), CLASSES, (32, 32)).eval()
        with torch.inference_mode():
            raw = detector(torch.zeros(1, 3, 32, 32))
        assert torch.isfinite(raw.class_logits).all()


def test_unknown_detector_names_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown detector 'ssdlight'; did you mean ssdlite"):
        build_detector("ssdlight", build_backbone("shufflenet_v2_0.5x"), CLASSES, (64, 64))


@pytest.mark.parametrize("key", DETECTORS)
def test_unknown_option_is_told(key: str) -> None:
    known = ", ".join(field.name for field in dataclasses.fields(OPTIONS[key]))
    with pytest.raises(UserError, match=f"detector {key}: detector_options.fancy is unknown; there are {known}$"):
        build_detector(key, build_backbone("shufflenet_v2_0.5x"), CLASSES, (64, 64), OtherOptions({"fancy": 1}))


def test_choices_are_those_of_the_tables() -> None:
    choices = {name: get_args(kind) for name, kind in get_type_hints(NanoDetPlusOptions).items()}
    assert set(choices["activation"]) == set(ACTIVATIONS)
    for kind in (SsdLiteOptions, SsdLiteFpnOptions):
        assert set(get_args(get_type_hints(kind)["loss"])) == set(LOSSES)
    assert set(get_args(get_type_hints(FasterRcnnOptions)["box_head"])) == set(BOX_HEADS)
    assert {key: entry.options for key, entry in DETECTORS.items()} == OPTIONS
