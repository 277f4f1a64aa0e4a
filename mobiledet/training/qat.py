"""Quantisation-aware fine-tuning: the network is trained with the rounding that an int8 file will have.

Rounding is simulated as in Jacob et al., arXiv:1712.05877, section 3, with gradients passed straight through, by the
scheme of the exported files: weights in -127..127 with a scale for each output channel, activations in -128..127 with
a scale and a zero point for each tensor. Normalisation keeps the statistics that it has. Folded into a convolution at
export it multiplies whole output channels, which their scales absorb: the rounded weights are the same before and
after.

What is rounded is what operations take in: then nothing depends on how modules are nested, and what the exporter fuses
(convolution, normalisation, activation) is never rounded in between. The weights that come out are those of an ordinary
checkpoint.
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
# As in an exported file, a range holds what this share of the images stays within: the extremes alone are wider, and
# would round more coarsely than the file does.
SHARE = 0.99
RECENT = 256  # images that a range is taken from: weights change, and with them what occurs
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
    """Let the parts of a detector that an exported file computes in integers round from now on, in place.

    The state dict keeps its names. Copies made by ``copy.deepcopy`` share the ranges of activations.
    """
    for name, part in detector.named_children():
        if detector.is_training_part(name):  # no file has it
            continue
        if any(isinstance(module, nn.Conv2d | nn.Linear) for module in part.modules()):
            rounding = Rounding()
            part.register_forward_pre_hook(rounding.enter)
            part.register_forward_hook(rounding.leave, always_call=True)


def freeze_statistics(detector: Detector) -> None:
    """Normalise by the statistics that were learned, also while training."""
    for module in detector.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


@dataclass
class Range:
    """Of an activation; 0 is in it, because it must be a value that integers have.

    Attributes:
        low, high: what ``SHARE`` of the recent images stays within.
        extremes: lowest and highest value in each of them, oldest first.
    """

    low: float = 0.0
    high: float = 0.0
    extremes: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=RECENT))

    def take(self, values: Tensor) -> None:
        """Follow a batch, images first."""
        lowest, highest = torch.aminmax(values.detach().flatten(1), dim=1)
        self.extremes.extend(zip(lowest.tolist(), highest.tolist(), strict=True))
        low, high = np.quantile(np.array(self.extremes), (1 - SHARE, SHARE), axis=0).diagonal()
        self.low, self.high = min(0.0, float(low)), max(0.0, float(high))

    def round(self, values: Tensor) -> Tensor:
        """The values as int8 holds them, of the same shape; gradients pass where they are in range."""
        scale = max((self.high - self.low) / LEVELS, 1e-8)
        zero_point = round(-128 - self.low / scale)
        return torch.fake_quantize_per_tensor_affine(values, scale, zero_point, -128, 127)


class Rounding(TorchFunctionMode):
    """Rounds what the operations of one module take in; the operations are known by their order."""

    def __init__(self) -> None:
        super().__init__()
        self.ranges: list[Range] = []
        self._place = 0
        self._learns = False

    def __deepcopy__(self, memo: dict[int, Any]) -> "Rounding":
        return self

    def enter(self, module: nn.Module, inputs: Any) -> None:
        """Before the module's forward pass."""
        self._place = 0
        self._learns = module.training
        self.__enter__()

    def leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        """After it."""
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
        if func is torch.cat and args[0][0].ndim == 3:  # what the levels predict, each with a scale of its own
            parts, *others = args
            return func([self._round(part) for part in parts], *others, **kwargs)
        return func(*args, **kwargs)

    def _round(self, values: Tensor) -> Tensor:
        is_new = self._place == len(self.ranges)
        if is_new:
            self.ranges.append(Range())
        known = self.ranges[self._place]
        self._place += 1
        if self._learns or is_new:
            known.take(values)
        return known.round(values)


def round_weight(weight: Tensor) -> Tensor:
    """Output channels first; each with a scale of its own."""
    scales = weight.detach().flatten(1).abs().amax(1).clamp(min=1e-8) / WEIGHT_LEVELS
    zero_points = torch.zeros_like(scales, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scales, zero_points, 0, -WEIGHT_LEVELS, WEIGHT_LEVELS)
