"""Passes that transform a network before conversion. ``PASSES`` lists all of them."""

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

# A pass takes a model in evaluation mode and an example input and returns an equivalent model: the outputs agree up to
# rounding, and the argument is not changed. A model to which the pass does not apply is returned unchanged.
Model = TypeVar("Model", bound=nn.Module)
Pass = Callable[[nn.Module, Tensor], nn.Module]

SHARED: tuple[Pass, ...] = (
    fold_batch_norm,  # first: the others change convolutions and expect no batch normalisation after them
    fold_input_scale,
    remove_shuffles_v2,
)
# format -> its passes; TFLite's own passes were chosen by measurements in LiteRT
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


def apply_passes(format: str, model: Model, example: Tensor, on_step: Callable[[str], None] = lambda _: None) -> Model:
    """Apply all passes of a format in order, and switch gradients off.

    Args:
        format: key of ``PASSES``.
        model: a model in evaluation mode; not changed.
        example: an input of the right shape.
        on_step: called with a description of each pass before it runs.

    Returns:
        the model to convert.
    """
    passes, result = PASSES[format], cast(nn.Module, model)
    for number, step in enumerate(passes, start=1):
        on_step(f"pass {number} of {len(passes)}: {step.__name__.replace('_', ' ')}")
        result = step(result, example)
    return cast(Model, result.requires_grad_(False))


__all__ = ["PASSES", "Pass", "apply_passes"]
