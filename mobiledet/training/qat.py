"""Quantisation-aware fine-tuning: the network is trained with the rounding of an int8 file.

Quantisation is simulated as in Jacob et al., arXiv:1712.05877, section 3, with a straight-through estimator of the
gradient, in the scheme of the exported files: weights in -127..127 with a scale per output channel, activations in
-128..127 with a scale and a zero point per tensor. Batch normalisation keeps its statistics. When it is folded into a
convolution at export, it multiplies whole output channels, and their scales absorb the factors: the quantised weights
are the same before and after folding.

The inputs of operations are rounded, not the outputs of modules. So nothing depends on how modules are nested, and no
rounding falls between the layers that the exporter fuses (convolution, normalisation, activation). The result is an
ordinary checkpoint.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mobiledet.detectors import Detector

LEVELS = 255
WEIGHT_LEVELS = 127
# A range covers the extremes of this fraction of the images, as in an exported file. The range of all images would be
# wider and round more coarsely than the file.
SHARE = 0.99
RECENT = 256  # number of recent images that a range is computed from, because activations change with the weights
WITH_WEIGHTS = (torch.conv2d, F.linear)
OF_FEATURES = (
    torch.Tensor.add,
    torch.Tensor.__add__,
    torch.add,
    torch.Tensor.mul,
    torch.Tensor.__mul__,
    torch.mul,
    F.adaptive_avg_pool2d,
)


def prepare_qat(detector: Detector) -> None:
    """Simulate quantisation from now on in the parts of a detector that an exported file computes in integers, in
    place.

    The state dict keeps its names. Copies made by ``copy.deepcopy`` share the ranges of activations.
    """
    for name, part in detector.named_children():
        if detector.is_training_part(name):  # not exported
            continue
        if any(isinstance(module, nn.Conv2d | nn.Linear) for module in part.modules()):
            rounding = Rounding()
            part.register_forward_pre_hook(rounding.enter)
            part.register_forward_hook(rounding.leave, always_call=True)


def freeze_statistics(detector: Detector) -> None:
    """Use the learned statistics of batch normalisation in training, too, and keep them fixed."""
    for module in detector.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


@dataclass
class Range:
    """Range of an activation. It always contains 0, which must be exactly representable.

    Attributes:
        low, high: bounds that hold for ``SHARE`` of the recent images.
        extremes: lowest and highest value in each recent image, oldest first.
    """

    low: float = 0.0
    high: float = 0.0
    extremes: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=RECENT))

    def observe(self, values: Tensor) -> None:
        """Update the range with the values of a batch, whose first dimension is the image."""
        lowest, highest = torch.aminmax(values.detach().flatten(1), dim=1)
        self.extremes.extend(zip(lowest.tolist(), highest.tolist(), strict=True))
        low, high = np.quantile(np.array(self.extremes), (1 - SHARE, SHARE), axis=0).diagonal()
        self.low, self.high = min(0.0, float(low)), max(0.0, float(high))

    def round(self, values: Tensor) -> Tensor:
        """Round to the values that int8 represents; the shape stays the same. Gradients pass where values are in the
        range."""
        scale = max((self.high - self.low) / LEVELS, 1e-8)
        zero_point = round(-128 - self.low / scale)
        return torch.fake_quantize_per_tensor_affine(values, scale, zero_point, -128, 127)


class Rounding(TorchFunctionMode):
    """Rounds the inputs of the operations in one module's forward pass. Operations are identified by their order."""

    def __init__(self) -> None:
        super().__init__()
        self.ranges: list[Range] = []
        self._next = 0  # index in ``ranges`` of the next input
        self._learns = False

    def __deepcopy__(self, memo: dict[int, Any]) -> "Rounding":
        return self

    def enter(self, module: nn.Module, inputs: Any) -> None:
        """Hook that runs before the module's forward pass."""
        self._next = 0
        self._learns = module.training
        self.__enter__()

    def leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """Hook that runs after the module's forward pass."""
        self.__exit__(None, None, None)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in WITH_WEIGHTS:
            values, weight, *others = args
            return func(self._round(values), round_weight(weight), *others, **kwargs)
        if func in OF_FEATURES:
            return func(*(self._round(a) if isinstance(a, Tensor) and a.ndim == 4 else a for a in args), **kwargs)
        if func is torch.cat and args[0][0].ndim == 3:  # predictions of the feature levels, each with its own scale
            parts, *others = args
            return func([self._round(part) for part in parts], *others, **kwargs)
        return func(*args, **kwargs)

    def _round(self, values: Tensor) -> Tensor:
        is_new = self._next == len(self.ranges)
        if is_new:
            self.ranges.append(Range())
        current = self.ranges[self._next]
        self._next += 1
        if self._learns or is_new:
            current.observe(values)
        return current.round(values)


def round_weight(weight: Tensor) -> Tensor:
    """Round a weight to int8 with a scale per output channel, the first dimension; the shape stays the same."""
    scales = weight.detach().flatten(1).abs().amax(1).clamp(min=1e-8) / WEIGHT_LEVELS
    zero_points = torch.zeros_like(scales, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scales, zero_points, 0, -WEIGHT_LEVELS, WEIGHT_LEVELS)
