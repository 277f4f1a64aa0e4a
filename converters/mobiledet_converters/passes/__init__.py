"""What is done to a network before any converter sees it. ``PASSES`` is the whole list."""

from collections.abc import Callable
from typing import TypeVar, cast

from torch import Tensor, nn

from mobiledet_converters.passes.batch_norm import fold_batch_norm
from mobiledet_converters.passes.input_scale import fold_input_scale
from mobiledet_converters.passes.pooling import border_maxima, means_as_convolutions
from mobiledet_converters.passes.regions import band_whole_regions
from mobiledet_converters.passes.shufflenet_v1 import shuffle_blocks_v1
from mobiledet_converters.passes.shufflenet_v2 import remove_shuffles_v2
from mobiledet_converters.passes.upsampling import double_by_concatenation

# From a model in evaluation mode and an example of its input to a model of the same function: the outputs agree up to
# rounding, the argument is left as it is. A model that a pass has nothing to do with comes back unchanged.
Model = TypeVar("Model", bound=nn.Module)
Pass = Callable[[nn.Module, Tensor], nn.Module]

SHARED: tuple[Pass, ...] = (
    fold_batch_norm,  # first: the others change convolutions and want no normalisation behind them
    fold_input_scale,
    remove_shuffles_v2,
)
# format -> its passes; the second part of TFLite's was measured in LiteRT
PASSES: dict[str, tuple[Pass, ...]] = {
    "tflite": (
        *SHARED,
        border_maxima,
        means_as_convolutions,
        double_by_concatenation,
        shuffle_blocks_v1,
        band_whole_regions,
    ),
    "coreml": SHARED,
    "coreai": (*SHARED, means_as_convolutions),
}


def apply_passes(format: str, model: Model, example: Tensor, tell: Callable[[str], None] = lambda _: None) -> Model:
    """The model that is converted: all passes of the format, in their order, and no gradients.

    Args:
        format: key of ``PASSES``.
        model: in evaluation mode; left as it is.
        example: an input of the right shape.
        tell: is told which pass runs.
    """
    passes, result = PASSES[format], cast(nn.Module, model)
    for number, step in enumerate(passes, start=1):
        tell(f"pass {number} of {len(passes)}: {step.__name__.replace('_', ' ')}")
        result = step(result, example)
    return cast(Model, result.requires_grad_(False))


__all__ = ["PASSES", "Pass", "apply_passes"]
