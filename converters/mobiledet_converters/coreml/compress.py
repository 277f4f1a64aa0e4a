"""Smaller weights for an ML Program, and what a written program says of them."""

from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import Any

from mobiledet_converters.coreml.palette import find_palette, suits_palette

# Weights of fewer numbers stay as they are: scales or a palette of their own would take what they save.
FEWEST_NUMBERS = 512
PALETTE_BITS = 6
COMPRESSED = ("int8", "palette6")  # precisions that a float16 program is turned into
WEIGHTED = ("conv", "linear")  # kinds of operations; tables of anchors and masks must not be touched


def compress(ct: ModuleType, model: Any, precision: str) -> Any:
    """A copy with the weights of convolutions and fully connected layers in fewer bits.

    Args:
        ct: coremltools.
        model: MLModel of a float16 program.
        precision: ``int8``: scales for each output channel, symmetric; ``palette6``: one palette of 64 values for each
            layer, found by k-means, and 8 bits where that does not suit its channels.
    """
    optimize = ct.optimize.coreml
    integers = optimize.OpLinearQuantizerConfig(
        mode="linear_symmetric", dtype="int8", granularity="per_channel", weight_threshold=FEWEST_NUMBERS
    )
    if precision == "int8":
        settings = optimize.OptimizationConfig(op_type_configs=dict.fromkeys(WEIGHTED, integers))
        return optimize.linear_quantize_weights(model, settings)
    # an own k-means: that of coremltools needs another package, and takes much longer
    palette = optimize.OpPalettizerConfig(
        mode="custom", lut_function=partial(find_palette, bits=PALETTE_BITS), weight_threshold=FEWEST_NUMBERS
    )
    others = [
        name
        for name, weight in optimize.get_weights_metadata(model, weight_threshold=FEWEST_NUMBERS).items()
        if any(user.op_type in WEIGHTED for user in weight.child_ops) and not suits_palette(weight.val, PALETTE_BITS)
    ]
    settings = optimize.OptimizationConfig(
        op_type_configs=dict.fromkeys(WEIGHTED, palette), op_name_configs=dict.fromkeys(others)
    )
    work = optimize.palettize_weights(model, settings)
    if not others:
        return work
    settings = optimize.OptimizationConfig(op_name_configs=dict.fromkeys(others, integers))
    return optimize.linear_quantize_weights(work, settings)


def weights_report(program: Any) -> dict[str, Any]:
    """How far the weights of a program are compressed, from its message.

    Returns:
        JSON values: ``layers``, how many have weights; ``compressed``, how many of these in fewer bits; ``share`` of
        all their numbers that this makes; ``left_out``, names of the other layers.
    """
    function = program.mlProgram.functions["main"]
    operations = function.block_specializations[function.opset].operations
    makers = {output.name: operation for operation in operations for output in operation.outputs}
    weights = [o.inputs["weight"].arguments[0].name for o in operations if o.type in WEIGHTED]
    sizes: dict[bool, list[int]] = {True: [], False: []}
    left_out = []
    for name in dict.fromkeys(weights):  # some serve several layers
        is_compressed = any(maker.type.startswith("constexpr") for maker in _origins(makers, name))
        sizes[is_compressed].append(_count(makers[name], name))
        if not is_compressed:
            left_out.append(layer_name(name))
    numbers = sum(map(sum, sizes.values()))
    return {
        "layers": len(sizes[True]) + len(sizes[False]),
        "compressed": len(sizes[True]),
        "share": sum(sizes[True]) / numbers if numbers else 0.0,
        "left_out": left_out,
    }


def layer_name(weight: str) -> str:
    """``p_detector_head_classes_0_1_weight_to_fp16`` as ``head_classes_0_1``."""
    return weight.removeprefix("p_").removeprefix("detector_").partition("_weight")[0]


def _origins(makers: dict[str, Any], name: str) -> Iterator[Any]:
    """The operation that makes a value, and those that make it from constants: a palette may be scaled or cast."""
    while name in makers:
        maker = makers[name]
        yield maker
        names = [b.name for a in maker.inputs.values() for b in a.arguments if b.WhichOneof("binding") == "name"]
        name = names[0] if names and maker.type != "const" else ""


def _count(operation: Any, name: str) -> int:
    """Numbers in a value."""
    output = next(output for output in operation.outputs if output.name == name)
    count = 1
    for side in output.type.tensorType.dimensions:
        count *= side.constant.size
    return count
