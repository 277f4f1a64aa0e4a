"""Replaces padded pooling by forms that are faster in LiteRT, or that Core AI supports.

Padded max pooling is lowered to padding with minus infinity, which neither XNNPACK nor 8-bit numbers support, and max
pooling without padding. After a ReLU, zeros are equivalent. Measured on 160 x 160 x 24 on one thread: minus infinity
0.094 ms and a partition of its own, zeros by padding 0.257 ms, zeros by concatenation 0.083 ms. Where values may be
negative, the outermost rows and columns are repeated instead: each window that reaches beyond the map already contains
them.

A LeakyReLU before max pooling is equivalent to one after it, where a stride of 2 leaves a quarter of the values.

Padded average pooling that counts the zeros is a depthwise convolution with equal weights, whose padding costs nothing.
Core AI would pad to a shape that is known only at run time.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mobiledet.backbones.base import StagedBackbone
from mobiledet.backbones.shufflenet_v1 import DownsamplingUnit


class BorderedMaxPool(nn.Module):
    """Max pooling over a map that is extended by zeros, or by its outermost rows and columns.

    Args:
        pool: square max pooling without dilation, with less padding than its side.
        zeros: whether zeros can be used, because the map has no negative values.
    """

    def __init__(self, pool: nn.MaxPool2d, zeros: bool) -> None:
        super().__init__()
        self.zeros = zeros
        self.padding = int(pool.padding)  # type: ignore[arg-type]  # the pass has checked it
        self.kernel_size = int(pool.kernel_size)  # type: ignore[arg-type]
        self.stride = int(pool.stride)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x C x H' x W', as the padded pooling that it replaces."""
        return F.max_pool2d(self._bordered(self._bordered(x, 2), 3), self.kernel_size, self.stride)

    def _bordered(self, x: Tensor, dim: int) -> Tensor:
        side = x.shape[dim]
        before, after = self.padding, self._beyond(side)
        if self.zeros:
            border = [x.new_zeros([*x.shape[:dim], number, *x.shape[dim + 1 :]]) for number in (before, after)]
        else:
            first, last = x.narrow(dim, 0, 1), x.narrow(dim, side - 1, 1)
            border = [
                torch.cat([line] * number, dim) if number else x.narrow(dim, 0, 0)
                for line, number in ((first, before), (last, after))
            ]
        return torch.cat([piece for piece in (border[0], x, border[1]) if piece.shape[dim]], dim)

    def _beyond(self, side: int) -> int:
        """Number of rows or columns after the end of the map that the last window covers."""
        windows = (side + 2 * self.padding - self.kernel_size) // self.stride + 1
        return max(0, (windows - 1) * self.stride + self.kernel_size - self.padding - side)


class AveragePoolAsConvolution(nn.Module):
    """Average pooling that counts padded zeros, as a depthwise convolution.

    Args:
        pool: square average pooling.
        channels: number of channels of the map.
    """

    weight: Tensor

    def __init__(self, pool: nn.AvgPool2d, channels: int) -> None:
        super().__init__()
        side = int(pool.kernel_size)  # type: ignore[arg-type]  # the pass has checked it
        self.stride, self.padding = pool.stride, pool.padding
        self.register_buffer("weight", torch.full((channels, 1, side, side), 1 / side**2))

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W to N x C x H' x W', as the pooling that it replaces."""
        return F.conv2d(x, self.weight, None, self.stride, self.padding, groups=self.weight.shape[0])


def border_maxima(model: nn.Module, example: Tensor) -> nn.Module:
    """Replace the padded max pooling after a stem."""
    model = copy.deepcopy(model).eval()  # a copy of a traced network starts in training
    for module in list(model.modules()):
        if isinstance(module, StagedBackbone) and _is_padded(module.pool):
            module.pool = _bordered_max_pool(module)
    return model


def means_as_convolutions(model: nn.Module, example: Tensor) -> nn.Module:
    """Replace the padded average pooling of ShuffleNetV1."""
    model = copy.deepcopy(model).eval()
    for module in list(model.modules()):
        if isinstance(module, DownsamplingUnit) and _counts_its_zeros(module.pool):
            first = module.branch.reduce[0]
            assert isinstance(first, nn.Conv2d)
            module.pool = AveragePoolAsConvolution(module.pool, first.in_channels)  # type: ignore[assignment]
    return model


def _bordered_max_pool(backbone: StagedBackbone) -> nn.Module:
    """The replacement for the pooling after a stem; a LeakyReLU at the end of the stem moves behind it."""
    pool, stem = backbone.pool, backbone.stem
    assert isinstance(pool, nn.MaxPool2d)
    last = list(stem.modules())[-1]
    pooled = BorderedMaxPool(pool, zeros=isinstance(last, nn.ReLU | nn.ReLU6))
    if not (isinstance(stem, nn.Sequential) and stem[-1] is last and isinstance(last, nn.LeakyReLU)):
        return pooled
    stem[-1] = nn.Identity()
    return nn.Sequential(pooled, last)


def _is_padded(pool: nn.Module) -> bool:
    return isinstance(pool, nn.MaxPool2d) and _is_plain(pool) and pool.dilation == 1 and not pool.return_indices


def _counts_its_zeros(pool: nn.Module) -> bool:
    return (
        isinstance(pool, nn.AvgPool2d) and _is_plain(pool) and pool.count_include_pad and pool.divisor_override is None
    )


def _is_plain(pool: nn.MaxPool2d | nn.AvgPool2d) -> bool:
    """Whether the pooling is padded, and the same in both directions."""
    sides = (pool.kernel_size, pool.stride, pool.padding)
    return all(isinstance(side, int) for side in sides) and pool.padding != 0 and not pool.ceil_mode
