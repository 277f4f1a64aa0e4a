"""The graph that is exported, in PyTorch."""

import dataclasses
from pathlib import Path

import numpy as np
import torch

from mobiledet.checkpoint import load_detector
from mobiledet.detections import Detections
from mobiledet_converters.parity import TOLERANCES, compare
from mobiledet_converters.reference import choose_images, load_inputs, make_reference
from mobiledet_converters.wrapper import ChannelsLastGraph, DetectionGraph, prepare


def test_graph_finds_what_the_dynamic_form_finds(scene_checkpoint: Path, scene_folder: Path) -> None:
    detector, spec = load_detector(scene_checkpoint)
    spec = dataclasses.replace(spec, nms=dataclasses.replace(spec.nms, max_detections=15))
    inputs = load_inputs(choose_images(scene_checkpoint, scene_folder, 12), spec.input)
    reference = make_reference(detector, spec, inputs)
    graph = ChannelsLastGraph(DetectionGraph(detector, spec)).eval()
    found = []
    with torch.inference_mode():
        for image in inputs:
            out = {name: value.numpy() for name, value in graph(torch.from_numpy(image[None]).float()).items()}
            assert list(out) == ["boxes", "classes", "scores", "count"]
            assert [a.shape for a in out.values()] == [(1, 15, 4), (1, 15), (1, 15), (1,)]
            count = int(out["count"][0])
            rows = (out["boxes"][0], out["classes"][0], out["scores"][0])
            found.append(Detections.from_graph_outputs(*rows, count, 96, 96))
            assert all(not row[count:].any() for row in rows)
    report = compare(reference.detections, found, reference.cuts, spec.nms, TOLERANCES["float32"])
    assert report.is_exact
    assert report.expected == sum(map(len, found)) > 100


def test_folding_changes_no_output_and_leaves_no_norm_behind_a_convolution(scene_checkpoint: Path) -> None:
    detector, _ = load_detector(scene_checkpoint)
    images = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 3, 96, 96)).astype(np.float32))
    before = detector(images)
    norms = sum(isinstance(m, torch.nn.BatchNorm2d) for m in detector.modules())
    prepare(detector)
    after = detector(images)
    torch.testing.assert_close(after.class_logits, before.class_logits, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(after.box_deltas, before.box_deltas, rtol=1e-3, atol=1e-3)
    assert norms > 50
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in detector.modules())
    assert not after.class_logits.requires_grad
