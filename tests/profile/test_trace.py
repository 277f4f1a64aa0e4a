"""Traces against torchvision's networks, whose structure is known from their papers."""

import torch
import torchvision
from torch import Tensor, nn

from mobiledet.profile.trace import trace


def test_inception_blocks_have_four_paths() -> None:
    """GoogLeNet (arXiv:1409.4842): three convolutions, then nine blocks of four paths with six convolutions."""
    with torch.device("meta"):
        model = torchvision.models.googlenet(weights=None, init_weights=False, aux_logits=False)
        levels = trace(model, 224, 224).levels
    assert len(levels) == 3 + 9 * 2
    assert sum(map(len, levels)) == 3 + 9 * 6
    assert max(map(len, levels)) == 4
    assert set(levels[3]) == {f"inception3a.{path}.conv" for path in ("branch1", "branch2.0", "branch3.0", "branch4.1")}


def test_chain_has_one_convolution_in_every_level() -> None:
    with torch.device("meta"):
        seen = trace(torchvision.models.vgg16(), 224, 224)
    assert [len(level) for level in seen.levels] == [1] * 13


def test_activations_are_counted_as_hooks_see_them() -> None:
    with torch.device("meta"):
        model = torchvision.models.vgg16()
    outputs: list[int] = []
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda module, inputs, output: outputs.append(output.numel()))
    seen = trace(model, 64, 64)
    assert seen.elementwise == len(outputs) == 15
    assert seen.elementwise_access == 2 * sum(outputs)


def test_sums_gates_and_copies() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x) + x  # reads two maps, writes one
            gate = y.mean((2, 3), keepdim=True).sigmoid()  # reads and writes three numbers
            return torch.cat((y * gate, x), dim=1).permute(0, 2, 3, 1).contiguous()  # reads a map and three, writes one

    model = Block().train()
    seen = trace(model, 8, 10)
    assert (seen.elementwise, seen.elementwise_access) == (3, 3 * 240 + 2 * 3 + (2 * 240 + 3))
    assert seen.levels == (("conv",),)
    assert model.training


def test_layer_that_runs_twice_is_seen_twice() -> None:
    layer = nn.Conv2d(3, 3, 1)
    assert trace(nn.Sequential(layer, nn.ReLU6(), layer, nn.Hardswish()), 4, 4).levels == (("0",), ("0",))
