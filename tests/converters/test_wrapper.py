"""The graph that is exported, in PyTorch."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mobiledet.checkpoint import load_detector
from mobiledet.detections import Detections
from mobiledet.detectors import DETECTORS, detector_from_spec
from mobiledet.spec import InputSpec, ModelSpec
from mobiledet_converters.parity import compare
from mobiledet_converters.precisions import EXACT
from mobiledet_converters.reference import choose_images, load_inputs, make_reference
from mobiledet_converters.wrapper import ChannelsLastGraph, DetectionGraph


@pytest.fixture(scope="module")
def rcnn_checkpoint(train_on_scenes: Callable[..., Path]) -> Path:
    """The same for a detector of two stages."""
    return train_on_scenes("shufflenet_v2_0.5x", "faster_rcnn_fpn", steps=8)


@pytest.mark.parametrize("kind", ["scene_checkpoint", "rcnn_checkpoint"])
def test_graph_finds_what_the_dynamic_form_finds(kind: str, scene_folder: Path, request: pytest.FixtureRequest) -> None:
    scene_checkpoint: Path = request.getfixturevalue(kind)
    detector, spec = load_detector(scene_checkpoint)
    spec = dataclasses.replace(spec, nms=dataclasses.replace(spec.nms, max_detections=15))
    inputs = load_inputs(choose_images(scene_checkpoint, scene_folder, 12), spec.input)
    reference = make_reference(detector, spec, inputs)
    graph = ChannelsLastGraph(DetectionGraph(detector, spec), spec.input.width).eval()
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
    report = compare(reference.detections, found, reference.cuts, spec.nms, EXACT)
    assert (report.unsettled, report.different) == (0, 0)
    assert report.expected == sum(map(len, found)) > 100


@pytest.mark.parametrize(
    "key",
    [k if k in ("ssdlite_fpn", "nanodet_plus") else pytest.param(k, marks=pytest.mark.exhaustive) for k in DETECTORS],
)
def test_what_needs_32_bits_lies_in_post_processing(key: str) -> None:
    # channel shuffles once, then the smallest network
    backbone = "shufflenet_v2_0.5x" if key == "ssdlite_fpn" else "fd_mobilenet_0.25x"
    spec = ModelSpec("x", backbone, key, InputSpec(64, 64), ("a", "b"), (1, 2))
    graph = DetectionGraph(detector_from_spec(spec), spec).eval()
    program = torch.export.export(graph, (torch.zeros(1, 3, 64, 64),)).run_decompositions({})
    seen = set()
    for node in program.graph.nodes:
        kind = str(node.target)
        if any(name in kind for name in ("topk", "exp.", "floor", "triu", "ge.")):  # ranks, decoding, places, NMS
            stack = [str(module) for _, module in node.meta["nn_module_stack"].values()]
            assert any("PostProcess" in module for module in stack), (kind, stack)
            seen.add(kind)
        value = node.meta.get("val")
        assert not isinstance(value, torch.Tensor) or value.ndim <= 4, node
    assert len(seen) >= 3
