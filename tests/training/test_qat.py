"""Simulated rounding against the exporter's own, and a run with it."""

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mobiledet.bundle import Bundle
from mobiledet.checkpoint import load_checkpoint, load_detector
from mobiledet.data.images import list_images
from mobiledet.errors import UserError
from mobiledet.ops.images import normalize
from mobiledet.training.config import TrainConfig
from mobiledet.training.engine import TrainResult, train
from mobiledet.training.qat import RECENT, SHARE, Range, freeze_statistics, prepare_qat, round_weight
from mobiledet_converters.raw_outputs import difference
from mobiledet_converters.reference import load_inputs
from mobiledet_converters.tflite import ranges
from mobiledet_converters.tflite.ranges import PreservedTensors


def test_weights_are_rounded_alike_before_and_after_folding() -> None:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(5, 7, 3, bias=False), nn.BatchNorm2d(7).eval()
    nn.init.normal_(norm.weight)  # some are negative
    norm.running_var.uniform_(0.01, 9)
    fused = fuse_conv_bn_eval(conv.eval(), norm)
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    torch.testing.assert_close(round_weight(fused.weight), round_weight(conv.weight) * factor.view(-1, 1, 1, 1))


def test_weights_have_255_values_in_each_channel() -> None:
    torch.manual_seed(0)
    weight = torch.randn(3, 64, 5, 5) * torch.tensor([0.01, 1, 50]).view(3, 1, 1, 1)
    for channel, rounded in zip(weight, round_weight(weight), strict=True):  # weights differ a thousandfold
        assert rounded.abs().max() == pytest.approx(float(channel.abs().max()), rel=1e-6)
        assert (channel - rounded).abs().max() <= channel.abs().max() / 254 * 1.0001


def test_zero_is_exact_and_gradients_pass() -> None:
    values = torch.tensor([-0.31, 0.0, 0.77, 1.9], requires_grad=True)
    known = Range(low=-0.31, high=1.0)
    rounded = known.round(values)
    assert rounded[1].item() == 0
    assert rounded[3].item() == pytest.approx(1.0, abs=0.01)  # cut off
    rounded.sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [1, 1, 1, 0]


def test_ranges_are_what_most_of_the_recent_images_stay_within() -> None:
    known = Range()
    highs = torch.rand(3 * RECENT)
    highs[RECENT] = 1000.0  # an outlier, which is forgotten
    for batch in highs.split(8):
        known.observe(torch.stack((batch, -0.5 * batch), dim=1))
        assert known.high < 1
    recent = highs[-RECENT:].numpy()
    assert known.high == pytest.approx(np.quantile(recent, 0.99))
    assert known.low == pytest.approx(-0.5 * np.quantile(recent, 0.99))
    assert SHARE == ranges.SHARE  # in the exported file too


def test_range_holds_zero() -> None:
    known = Range()
    known.observe(torch.tensor([[1.0, 2.0], [1.5, 2.0]]))
    assert (known.low, known.high) == (0, 2)


def test_rounded_detector_is_nearer_to_the_int8_file_than_the_float_one(
    scene_checkpoint: Path, scene_folder: Path, exported_bundle: Bundle
) -> None:
    detector, spec = load_detector(scene_checkpoint)
    rounded = copy.deepcopy(detector)
    prepare_qat(rounded)
    calibration = load_inputs(list_images(scene_folder.parent / "train2017"), spec.input)
    rounded.train()
    freeze_statistics(rounded)
    with torch.no_grad():
        for image in calibration:
            rounded(normalize(torch.from_numpy(image[None]).permute(0, 3, 1, 2), spec.input))
    rounded.eval()
    file = PreservedTensors.open(exported_bundle.root / "model.int8.tflite")
    details = file.interpreter.get_tensor_details()
    nearer = []
    for pixels in load_inputs(list_images(scene_folder)[:4], spec.input):
        image = normalize(torch.from_numpy(pixels[None]).permute(0, 3, 1, 2), spec.input)
        with torch.no_grad():
            exact, ours = detector(image).class_logits.numpy(), rounded(image).class_logits.numpy()
        file.run(pixels)
        shape = exact.shape
        (index,) = (d["index"] for d in details if tuple(d["shape"]) == shape and d["dtype"] == np.float32)
        theirs = file.interpreter.get_tensor(index)
        nearer.append(difference(theirs, ours).sqnr_db - difference(theirs, exact).sqnr_db)
    assert np.mean(nearer) > 1


def test_names_of_the_weights_stay(scene_checkpoint: Path) -> None:
    detector, _ = load_detector(scene_checkpoint)
    names = list(detector.state_dict())
    prepare_qat(detector)
    assert list(detector.state_dict()) == names
    twin = copy.deepcopy(detector)
    image = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(detector(image).class_logits, twin(image).class_logits)


def test_run_starts_from_the_checkpoint_and_keeps_its_statistics(
    settings: Callable[[Path], TrainConfig], trained: TrainResult, tmp_path: Path
) -> None:
    config = dataclasses.replace(
        settings(tmp_path / "run"),
        qat=True,
        init=trained.best,
        backbone="mobilenet_v2_1x",  # the checkpoint's is taken
        image_size=320,
        epochs=1,
        lr=1e-4,
    )
    result = train(config)
    before, after = load_checkpoint(trained.best), load_checkpoint(result.best)
    assert after.spec.backbone == before.spec.backbone
    assert after.spec.input == before.spec.input
    assert list(after.weights) == list(before.weights)
    for name, tensor in after.weights.items():
        if "running_" in name:
            torch.testing.assert_close(tensor, before.weights[name])
    changed = [name for name in after.weights if name.endswith("weight") and after.weights[name].ndim == 4]
    assert all(not torch.equal(after.weights[name], before.weights[name]) for name in changed)


def test_run_without_a_checkpoint_is_refused(settings: Callable[[Path], TrainConfig], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--qat starts from a trained detector; give its checkpoint with --init"):
        train(dataclasses.replace(settings(tmp_path / "run"), qat=True))


def test_other_numbers_are_refused(
    settings: Callable[[Path], TrainConfig], trained: TrainResult, tmp_path: Path
) -> None:
    config = dataclasses.replace(settings(tmp_path / "run"), qat=True, init=trained.best, precision="bf16-mixed")
    with pytest.raises(UserError, match="--precision bf16-mixed: --qat needs 32-bit precision"):
        train(config)
