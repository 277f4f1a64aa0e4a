"""Every pass against the network that it changes, in PyTorch."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mobiledet.backbones import BACKBONES, build_backbone, build_classifier
from mobiledet.backbones.shufflenet_v1 import Branch
from mobiledet.detectors import DETECTORS, detector_from_spec
from mobiledet.spec import InputSpec, ModelSpec
from mobiledet_converters.passes import apply_passes
from mobiledet_converters.passes.batch_norm import fold_batch_norm
from mobiledet_converters.passes.channel_order import OrderAbsorber
from mobiledet_converters.passes.input_scale import fold_input_scale
from mobiledet_converters.passes.pooling import (
    AveragePoolAsConvolution,
    BorderedMaxPool,
    border_maxima,
    means_as_convolutions,
)
from mobiledet_converters.passes.regions import MAX_WEIGHTS, BandedDepthwise, band_whole_regions
from mobiledet_converters.passes.shufflenet_v1 import AbsorbedBranch, BlockBranch, shuffle_blocks_v1
from mobiledet_converters.passes.shufflenet_v2 import MAX_PIECES, StageWithoutShuffles, remove_shuffles_v2
from mobiledet_converters.passes.upsampling import DoubledByConcatenation, double_by_concatenation
from mobiledet_converters.wrapper import ChannelsLastGraph, DetectionGraph

ONE_OF_EACH_FAMILY = (
    "mobilenet_v1_0.25x",
    "mobilenet_v2_0.35x",
    "shufflenet_v1_0.25x_g3",
    "shufflenet_v2_0.5x",
    "ghostnet_0.5x",
    "fd_mobilenet_0.25x",
)
GROUPED = [key for key in BACKBONES if key.startswith("shufflenet_v1_") and not key.endswith("_g1")]
SIDE = 64
# branches of ShuffleNetV1 whose blocks would be filled with more than a tenth of zeros: of stage 2 mostly
FILLED_TOO_MUCH = {
    "shufflenet_v1_1x_g2": 0,
    "shufflenet_v1_1x_g3": 0,
    "shufflenet_v1_1x_g4": 3,
    "shufflenet_v1_1x_g8": 3,
}


def lively(model: nn.Module, seed: int = 0) -> nn.Module:
    """With statistics and weights of normalisations as after a training, so that a channel out of place shows."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low, high in (
                (module.running_mean, -0.3, 0.3),
                (module.running_var, 0.5, 1.5),
                (module.weight.data, 0.6, 1.4),
                (module.bias.data, -0.3, 0.3),
            ):
                assert tensor is not None
                tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)
    return model.eval().requires_grad_(False)


def picture(side: int = SIDE) -> Tensor:
    return torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(1))


def assert_same(found: Tensor, expected: Tensor) -> None:
    """Equal up to rounding, relative to the largest value."""
    assert expected.abs().max() > 1e-3
    assert (found - expected).abs().max() / expected.abs().max() < 1e-5


@pytest.mark.parametrize(
    ("key", "format"), [*((key, "tflite") for key in ONE_OF_EACH_FAMILY), ("shufflenet_v2_0.5x", "coreml")]
)
def test_all_passes_on_a_classifier(key: str, format: str) -> None:
    network = lively(build_classifier(key, num_classes=10))
    before = network(picture())
    changed = apply_passes(format, network, picture())
    assert_same(changed(picture()), before)
    assert torch.equal(network(picture()), before)  # the argument is left as it is
    assert not any(isinstance(module, nn.BatchNorm2d) for module in changed.modules())


@pytest.mark.parametrize(
    ("key", "backbone"), [*((key, "shufflenet_v2_0.5x") for key in DETECTORS), ("ssdlite_fpn", "shufflenet_v1_0.5x_g8")]
)
def test_all_passes_on_a_detector(key: str, backbone: str) -> None:
    spec = ModelSpec("x", backbone, key, InputSpec(SIDE, SIDE), ("a", "b"), (1, 2))
    graph = DetectionGraph(lively(detector_from_spec(spec)), spec).eval()
    image = picture() * 60 + 120
    changed = apply_passes("tflite", graph, image)
    raw = graph.detector.forward_static(graph.normalization(image))
    found = changed.detector.forward_static(changed.normalization(image))
    for name, expected in graph.detector.comparable(raw).items():
        assert_same(changed.detector.comparable(found)[name], expected)
    rows = ChannelsLastGraph(changed, SIDE).normalization(image.permute(0, 2, 3, 1).flatten(2))
    assert torch.equal(rows.view(1, SIDE, SIDE, 3).permute(0, 3, 1, 2), changed.normalization(image))


@pytest.mark.parametrize(
    "key",
    [
        k if k in ("shufflenet_v2_0.5x", "shufflenet_v2_1x") else pytest.param(k, marks=pytest.mark.exhaustive)
        for k in BACKBONES
        if k.startswith("shufflenet_v2")
    ],
)
def test_shuffles_vanish_from_shufflenet_v2(key: str) -> None:
    network = fold_batch_norm(lively(build_classifier(key, num_classes=10)), picture())
    changed = remove_shuffles_v2(network, picture())
    assert_same(changed(picture()), network(picture()))
    program = torch.export.export(changed, (picture(),)).run_decompositions({})
    kinds = [str(node.target) for node in program.graph.nodes]
    assert not any("permute" in kind or "transpose" in kind or "split" in kind for kind in kinds)
    pieces = [len(node.args[0]) for node in program.graph.nodes if "aten.cat" in str(node.target)]
    assert 0 < max(pieces) <= MAX_PIECES
    assert all(isinstance(s, StageWithoutShuffles) for s in changed.backbone.stages)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "key",
    [
        k if k in ("shufflenet_v1_1x_g3", "shufflenet_v1_1x_g8") else pytest.param(k, marks=pytest.mark.exhaustive)
        for k in GROUPED
    ],
)
def test_shuffles_of_shufflenet_v1_move_blocks(key: str) -> None:
    network = fold_batch_norm(lively(build_backbone(key)), picture())
    changed = shuffle_blocks_v1(network, picture())
    for found, expected in zip(changed(picture()), network(picture()), strict=True):
        assert_same(found, expected)
    blocks, absorbed, left = (
        sum(isinstance(m, kind) for m in changed.modules()) for kind in (BlockBranch, AbsorbedBranch, Branch)
    )
    assert (absorbed, blocks + left) == (1, 15)
    if key in FILLED_TOO_MUCH:
        assert left == FILLED_TOO_MUCH[key]
    assert max(tensor.ndim for tensor in _values(changed)) <= 4


def _values(module: nn.Module) -> list[Tensor]:
    program = torch.export.export(module, (picture(),)).run_decompositions({})
    values = [node.meta.get("val") for node in program.graph.nodes]
    return [value for value in values if isinstance(value, Tensor)]


@pytest.mark.parametrize("side", [64, 96, 80])
@pytest.mark.parametrize("key", ["shufflenet_v1_0.25x_g3", "shufflenet_v2_0.5x"])
def test_pools(key: str, side: int) -> None:
    network = lively(build_backbone(key))
    changed = means_as_convolutions(border_maxima(network, picture(side)), picture(side))
    for found, expected in zip(changed(picture(side)), network(picture(side)), strict=True):
        assert_same(found, expected)
    assert isinstance(changed.pool, BorderedMaxPool)
    assert sum(isinstance(m, AveragePoolAsConvolution) for m in changed.modules()) == (3 if "v1" in key else 0)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 2, 1), (3, 1, 1), (5, 2, 2), (2, 2, 1)])
@pytest.mark.parametrize("side", [8, 9])
def test_zero_padded_maximum(kernel: int, stride: int, padding: int, side: int) -> None:
    pool = nn.MaxPool2d(kernel, stride, padding)
    x = torch.rand(2, 3, side, side + 3)
    assert torch.equal(BorderedMaxPool(pool, zeros=True)(x), pool(x))
    assert torch.equal(BorderedMaxPool(pool, zeros=False)(x - 1), pool(x - 1))


def test_a_maximum_of_negative_numbers_is_bordered_by_its_own_lines() -> None:
    network = build_backbone("shufflenet_v2_0.5x").eval()
    network.stem = nn.Sequential(*list(network.stem)[:2])
    network.stem[0].weight.data *= 100  # without activation little is left of a picture
    changed = border_maxima(network, picture())
    assert isinstance(changed.pool, BorderedMaxPool)
    assert not changed.pool.zeros
    assert_same_maps(changed, network)


def test_leaky_relu_goes_behind_the_maximum() -> None:
    network = lively(build_backbone("shufflenet_v2_0.5x", options={"activation": "leaky_relu"}))
    changed = border_maxima(network, picture())
    assert isinstance(list(changed.pool.modules())[-1], nn.LeakyReLU)
    assert not any(isinstance(module, nn.LeakyReLU) for module in changed.stem.modules())
    assert_same_maps(changed, network)


def assert_same_maps(changed: nn.Module, network: nn.Module) -> None:
    with torch.inference_mode():
        for found, expected in zip(changed(picture()), network(picture()), strict=True):
            assert_same(found, expected)


def test_only_the_scale_of_the_normalisation_is_folded() -> None:
    spec = ModelSpec("x", "mobilenet_v2_0.35x", "ssdlite", InputSpec(SIDE, SIDE), ("a",), (1,))
    graph = DetectionGraph(lively(detector_from_spec(spec)), spec).eval()
    image = torch.rand(1, 3, SIDE, SIDE) * 255
    changed = fold_input_scale(graph, image)
    assert changed.normalization.std is None  # type: ignore[union-attr]
    before, after = (g.detector.backbone(g.normalization(image)) for g in (graph, changed))  # type: ignore[union-attr, operator]
    for found, expected in zip(after, before, strict=True):
        assert_same(found, expected)


class TwiceRead(nn.Module):
    """A stem whose image goes somewhere else too."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(feature + images.mean() for feature in self.inner(images))


def test_the_scale_stays_where_something_else_reads_the_image() -> None:
    spec = ModelSpec("x", "mobilenet_v2_0.35x", "ssdlite_fpn", InputSpec(SIDE, SIDE), ("a",), (1,))
    graph = DetectionGraph(lively(detector_from_spec(spec)), spec).eval()
    graph.detector.backbone.forward = TwiceRead(graph.detector.backbone.__class__(0.35).eval()).forward  # type: ignore
    assert fold_input_scale(graph, picture()).normalization.std is not None  # type: ignore[union-attr]


@pytest.mark.parametrize(("kernel", "bias"), [((7, 7), False), ((6, 6), True)])
def test_depthwise_over_whole_regions_is_a_sum_of_bands(kernel: tuple[int, int], bias: bool) -> None:
    regions = torch.randn(3, 8, *kernel, generator=torch.Generator().manual_seed(1))
    network = nn.Sequential(nn.Conv2d(8, 8, kernel, groups=8, bias=bias), nn.Conv2d(8, 8, 1)).eval()
    changed = band_whole_regions(network, regions)
    assert isinstance(changed[0], BandedDepthwise)  # type: ignore[index]
    assert_same(changed(regions), network(regions))
    assert all(band.weight[0].numel() <= MAX_WEIGHTS for band in changed[0].bands)  # type: ignore[index]


def test_depthwise_over_larger_maps_stays() -> None:
    network = nn.Sequential(nn.Conv2d(8, 8, 7, groups=8), nn.Conv2d(8, 8, 5, groups=8)).eval()
    changed = band_whole_regions(network, torch.randn(1, 8, 11, 11))
    assert not any(isinstance(module, BandedDepthwise) for module in changed.modules())


@pytest.mark.parametrize("key", ["torchvision:mobilenet_v3_small", "torchvision:resnet18"])
def test_norms_of_traced_networks_are_folded(key: str) -> None:
    network = lively(build_backbone(key))
    changed = fold_batch_norm(network, picture())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in changed.modules())
    for found, expected in zip(changed(picture()), network(picture()), strict=True):
        assert_same(found, expected)


def test_doubled_maps() -> None:
    doubling = nn.Sequential(nn.Upsample(scale_factor=2.0, mode="nearest"))
    changed = double_by_concatenation(doubling, picture())
    x = torch.rand(2, 5, 3, 4)
    assert isinstance(changed[0], DoubledByConcatenation)  # type: ignore[index]
    assert torch.equal(changed(x), doubling(x))
    other = nn.Sequential(nn.Upsample(scale_factor=2.0, mode="bilinear"), nn.Upsample(scale_factor=3.0))
    assert all(isinstance(layer, nn.Upsample) for layer in double_by_concatenation(other, picture()).children())


class Reader(nn.Module):
    def __init__(self, read: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1)
        self.read = read

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.first(x))


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda x: x + torch.rand(1, 4, 1, 1), "add reads reordered channels"),
        (lambda x: x.flatten(1), "flatten reads reordered channels"),
        (nn.Conv2d(4, 4, 1, groups=2), "is a grouped convolution"),
    ],
)
def test_a_reader_that_cannot_absorb_an_order_is_told(read: Callable[[Tensor], Tensor], message: str) -> None:
    model = Reader(read)
    absorber = OrderAbsorber(model)
    absorber.follow(model.first, torch.tensor([1, 0, 3, 2]))
    with pytest.raises(ValueError, match=message):
        absorber.run(picture(4))
