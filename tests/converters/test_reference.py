"""Where the images of the comparison come from, and what is remembered of them."""

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mobiledet.checkpoint import load_detector
from mobiledet.data.dataset import DetectionSet, LabelledImage
from mobiledet.data.record import ImageFile
from mobiledet.errors import UserError
from mobiledet.ops.images import normalize
from mobiledet.truth import Truth
from mobiledet_converters.precisions import FINE
from mobiledet_converters.reference import choose_images, load_inputs, make_reference
from mobiledet_converters.rounding import VARIANTS, Rounding, round_to_float16, round_to_integers


def test_images_are_spread_over_the_folder(scene_folder: Path, tmp_path: Path) -> None:
    names = [picture.path.name for picture in choose_images(tmp_path / "x.ckpt", scene_folder, 3)]
    everything = sorted(path.name for path in scene_folder.iterdir())
    assert names == [everything[0], everything[6], everything[11]]
    assert len(choose_images(tmp_path / "x.ckpt", scene_folder, 100)) == 12


def test_validation_images_of_the_run_are_taken(scene_folder: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    shutil.copytree(scene_folder, pictures)
    config = {"data": "gone", "val_images": str(pictures)}
    (tmp_path / "config.json").write_text(json.dumps({"config": config}))
    assert {picture.path.parent for picture in choose_images(tmp_path / "best.ckpt", None, 4)} == {pictures}
    # without them, or with a file that is no training config, the built-in shapes
    shutil.rmtree(pictures)
    assert len(choose_images(tmp_path / "best.ckpt", None, 4)) == 4
    (tmp_path / "config.json").write_text("[]")
    assert len(choose_images(tmp_path / "best.ckpt", None, 4)) == 4


def test_pictures_of_a_named_set_come_before_those_of_the_run(scene_folder: Path, tmp_path: Path) -> None:
    paths = sorted(scene_folder.iterdir())
    nothing = Truth(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.bool_))
    images = tuple(LabelledImage(index, path, 8, 8, nothing, index == 1) for index, path in enumerate(paths[:2]))
    dataset = DetectionSet("set", scene_folder, scene_folder, ("thing",), (1,), images)
    (tmp_path / "config.json").write_text(json.dumps({"config": {"data": "gone", "val_images": str(scene_folder)}}))
    chosen = choose_images(tmp_path / "best.ckpt", None, 4, annotated=dataset)
    assert chosen == [ImageFile(paths[0].absolute()), ImageFile(paths[1].absolute(), True)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBILEDET_CACHE", str(tmp_path_factory.mktemp("cache")))


def test_bad_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot find"):
        choose_images(tmp_path / "x.ckpt", tmp_path / "missing", 4)
    with pytest.raises(UserError, match="holds no images"):
        choose_images(tmp_path / "x.ckpt", tmp_path, 4)
    with pytest.raises(UserError, match="--parity-images is 0"):
        choose_images(tmp_path / "x.ckpt", None, 0)


def test_reference_knows_where_candidates_end(scene_checkpoint: Path, scene_folder: Path) -> None:
    detector, spec = load_detector(scene_checkpoint)
    inputs = load_inputs(choose_images(scene_checkpoint, scene_folder, 12), spec.input)
    reference = make_reference(detector, spec, inputs)
    raw = make_reference(detector, spec, inputs[:1]).raw
    # sums of a larger batch may be taken in another order
    np.testing.assert_allclose(raw["class_logits"], reference.raw["class_logits"], atol=1e-5)
    scores = detector.loss.scores(torch.from_numpy(reference.raw["class_logits"]))
    last_candidate = float(scores.flatten().topk(spec.nms.top_k).values[-1])
    assert reference.cuts[0] == pytest.approx(max(spec.nms.score, last_candidate), abs=0.02)
    assert all(d.scores.min() >= cut for d, cut in zip(reference.detections, reference.cuts, strict=True))


def test_rounding_is_that_of_16_bit_arithmetic(scene_checkpoint: Path, scene_folder: Path) -> None:
    detector, spec = load_detector(scene_checkpoint)
    (pixels,) = load_inputs(choose_images(scene_checkpoint, scene_folder, 1), spec.input)
    images = normalize(torch.from_numpy(pixels[None]).permute(0, 3, 1, 2), spec.input)
    with torch.inference_mode():
        exact = detector(images).class_logits
        emulated, other = (round_to_float16(detector, seed)(images).class_logits - exact for seed in range(2))
        real = copy.deepcopy(detector).half()(images.half()).class_logits.float() - exact
        assert torch.equal(detector(images).class_logits, exact)
    for error in (emulated, other):
        assert 0.3 < error.square().mean().sqrt() / real.square().mean().sqrt() < 2
    assert (emulated - other).square().mean().sqrt() > 0.3 * real.square().mean().sqrt()


def test_rounded_weights_are_integers_of_one_scale_a_channel(scene_checkpoint: Path) -> None:
    detector, _ = load_detector(scene_checkpoint)
    exact, rounded = (
        [m.weight for m in network.modules() if isinstance(m, nn.Conv2d)]
        for network in (detector, round_to_integers(detector))
    )
    for before, after in zip(exact, rounded, strict=True):
        step = after.flatten(1).abs().amax(1) / 101  # the largest is 127 / 1.25 steps at least
        assert ((before - after).flatten(1).abs().amax(1) <= step / 2 + 1e-9).all()
        assert max(len(channel.unique()) for channel in after.flatten(1)) <= 255
    unchanged = [m.weight for m in detector.modules() if isinstance(m, nn.Conv2d)]
    assert all(torch.equal(a, b) for a, b in zip(exact, unchanged, strict=True))


def test_integers_change_more_than_16_bits_do(scene_checkpoint: Path, scene_folder: Path) -> None:
    detector, spec = load_detector(scene_checkpoint)
    inputs = load_inputs(choose_images(scene_checkpoint, scene_folder, 2), spec.input)
    rounding = Rounding(detector, make_reference(detector, spec, inputs))
    half, weights, activations = (rounding.report(FINE, kind).score_error for kind in VARIANTS)
    assert 0 < half < weights < activations
