"""What is done to a network before any converter sees it. ``PASSES`` is the whole list; ``apply_passes`` is the way in."""

from collections.abc import Callable

from torch import Tensor, nn

from mobiledet_converters.passes.batch_norm import fold_batch_norm
from mobiledet_converters.passes.input_scale import fold_input_scale
from mobiledet_converters.passes.pooling import border_pools_with_zeros
from mobiledet_converters.passes.shufflenet_v2 import remove_shuffles_v2

# From a model in evaluation mode and an example of its input to a model of the same function: the outputs agree up to
# rounding, the argument is left as it is. A model that a pass has nothing to do with comes back unchanged.
Pass = Callable[[nn.Module, Tensor], nn.Module]

SHARED: tuple[Pass, ...] = (
    fold_batch_norm,  # first: the others change convolutions and want no normalisation behind them
    fold_input_scale,
    remove_shuffles_v2,
)
# format -> its passes; the second part was measured in LiteRT, and is of no use to Core ML
PASSES: dict[str, tuple[Pass, ...]] = {
    "tflite": (*SHARED, border_pools_with_zeros),
    "coreml": SHARED,
}


def apply_passes(
    format: str, model: nn.Module, example: Tensor, tell: Callable[[str], None] = lambda _: None
) -> nn.Module:
    """The model that is converted: all passes of the format, in their order, and no gradients.

    Args:
        format: key of ``PASSES``.
        model: in evaluation mode; left as it is.
        example: an input of the right shape.
        tell: is told which pass runs.
    """
    passes = PASSES[format]
    for number, step in enumerate(passes, start=1):
        tell(f"pass {number} of {len(passes)}: {step.__name__.replace('_', ' ')}")
        model = step(model, example)
    return model.requires_grad_(False)


__all__ = ["PASSES", "Pass", "apply_passes"]
