"""A network in 16 bits, without Core AI: PyTorch computes it."""

import torch
from torch import Tensor, nn

from mobiledet_converters.coreai.sixteen_bits import DECOMPOSITIONS, LARGEST_HALF, SixteenBits


class RankPostProcess(nn.Module):
    """Must stay in 32 bits, by its name."""

    def forward(self, values: Tensor) -> Tensor:
        return values * 1e6 + 1


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, 8, 3)
        self.nearly_dead = nn.Conv2d(8, 8, 3, groups=8)
        with torch.no_grad():
            self.first.weight[2] *= 1e-3
            self.first.bias[2] = 0
            self.nearly_dead.weight[2] *= 1e6
        self.post_process = RankPostProcess()

    def forward(self, image: Tensor) -> Tensor:
        return self.post_process(self.nearly_dead(self.first(image)))


def captured(has_integers: bool = False) -> tuple[SixteenBits, Network]:
    network = Network().eval()
    with torch.no_grad():
        program = torch.export.export(network, (torch.zeros(1, 3, 16, 16),), strict=False).run_decompositions({})
    return SixteenBits(program, has_integers), network


def test_weights_that_16_bits_cannot_hold_stay_in_32() -> None:
    rounded, network = captured()
    assert network.nearly_dead.weight.abs().max() > LARGEST_HALF
    assert rounded.too_large == ["nearly_dead.weight"]
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        expected, found = network(image), rounded(image)
    assert found.dtype == torch.float32
    assert torch.isfinite(found).all()
    error = (found - expected).square().sum() / expected.square().sum()
    assert 0 < error < 1e-5
    assert network.first.weight.dtype == torch.float32  # the original is as it was


class Shared(nn.Module):
    """One convolution with a batch normalisation for each of two levels, which cannot be folded into it."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 4, 3)
        self.norms = nn.ModuleList([nn.BatchNorm2d(4), nn.BatchNorm2d(4)])

    def forward(self, image: Tensor) -> list[Tensor]:
        return [norm(self.convolution(image)) for norm in self.norms]


def test_what_weights_alone_give_is_computed_in_32_bits() -> None:
    with torch.no_grad():
        program = torch.export.export(Shared().eval(), (torch.zeros(1, 3, 8, 8),), strict=False)
        program = program.run_decompositions(DECOMPOSITIONS)
        again = torch.export.export(SixteenBits(program), (torch.zeros(1, 3, 8, 8),), strict=False)
    values = [(str(node.target), node.meta.get("val")) for node in again.graph.nodes if node.op == "call_function"]
    kinds = [(target, value.dtype) for target, value in values if isinstance(value, Tensor)]
    roots = [dtype for target, dtype in kinds if "sqrt" in target]
    assert roots == [torch.float32] * 2
    assert {dtype for target, dtype in kinds if "conv" in target} == {torch.float16}


def test_the_network_has_16_bits_and_post_processing_32() -> None:
    rounded, _ = captured()
    weights = dict(rounded.program.named_parameters())
    assert weights["first.weight"].dtype == torch.float16
    assert weights["nearly_dead.weight"].dtype == torch.float32
    with torch.no_grad():
        again = torch.export.export(rounded, (torch.rand(1, 3, 16, 16),), strict=False)
    convolutions = [
        node.meta["val"].dtype
        for node in again.graph.nodes
        if "conv2d" in str(node.target) or "convolution" in str(node.target)
    ]
    assert convolutions == [torch.float16, torch.float32]  # the second has the large weights
