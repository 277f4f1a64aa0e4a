"""Splits depthwise convolutions over a whole region into smaller ones, for which XNNPACK has kernels.

Its depthwise kernels support up to 25 weights a channel. A larger convolution is run separately for each channel, which
on 8-bit numbers takes longer than the rest of the detector.
"""

import copy
import functools
from itertools import pairwise

import torch
from torch import Tensor, nn

MAX_WEIGHTS = 25  # of a channel, in XNNPACK's depthwise kernels


class BandedDepthwise(nn.Module):
    """The sum of depthwise convolutions over bands of rows, for a map that is as large as the kernel.

    Args:
        whole: the convolution to split, without padding.
    """

    def __init__(self, whole: nn.Conv2d) -> None:
        super().__init__()
        rows, columns = whole.kernel_size
        starts = [*range(0, rows, max(1, MAX_WEIGHTS // columns)), rows]
        self.sizes = [stop - start for start, stop in pairwise(starts)]
        self.bands = nn.ModuleList(_band(whole, start, stop) for start, stop in pairwise(starts))

    def forward(self, x: Tensor) -> Tensor:
        """R x C x k x k regions to R x C x 1 x 1."""
        parts = [band(part) for band, part in zip(self.bands, x.split(self.sizes, 2), strict=True)]
        return functools.reduce(torch.add, parts)


def band_whole_regions(model: nn.Module, example: Tensor) -> nn.Module:
    """Replace the depthwise convolutions over whole regions that have too many weights."""
    model = copy.deepcopy(model).eval()  # a copy of a traced network starts in training
    large = {
        module
        for module in model.modules()
        if isinstance(module, nn.Conv2d)
        and module.groups == module.in_channels == module.out_channels
        and module.weight[0].numel() > MAX_WEIGHTS
    }
    whole: set[nn.Module] = set()
    hooks = [module.register_forward_hook(lambda m, inputs, output: _note(whole, m, inputs[0])) for module in large]
    if large:
        with torch.no_grad():
            model(example)
    for hook in hooks:
        hook.remove()
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if child in whole:
                setattr(parent, name, BandedDepthwise(child))  # type: ignore[arg-type]  # all of them are convolutions
    return model


def _note(whole: set[nn.Module], module: nn.Module, image: Tensor) -> None:
    if image.shape[-2:] == module.kernel_size:
        whole.add(module)


def _band(whole: nn.Conv2d, start: int, stop: int) -> nn.Conv2d:
    """A convolution with some rows of the kernel; the first one keeps the bias."""
    channels, bias = whole.in_channels, whole.bias if start == 0 else None
    band = nn.Conv2d(channels, channels, (stop - start, whole.kernel_size[1]), groups=channels, bias=bias is not None)
    band.weight = nn.Parameter(whole.weight[:, :, start:stop].detach().clone())
    if bias is not None:
        band.bias = nn.Parameter(bias.detach().clone())
    return band
