"""Compresses the weights of an ML Program, and reports on the weights of a written program."""

from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import Any

from mobiledet_converters.coreml.palette import find_palette, suits_palette

# Smaller weight tensors are not compressed: their scales or palettes would need as much space as is saved.
MIN_WEIGHTS = 512
PALETTE_BITS = 6
COMPRESSED = ("int8", "palette6")  # precisions that are made from a float16 program
WEIGHTED = ("conv", "linear")  # kinds of operations; tables of anchors and masks must not be changed


def compress(ct: ModuleType, model: Any, precision: str) -> Any:
    """A copy with the weights of convolutions and fully connected layers in fewer bits.

    Args:
        ct: coremltools.
        model: MLModel of a float16 program.
        precision: ``int8``: symmetric, a scale for each output channel; ``palette6``: a palette of 64 values for each
            layer, found by k-means, and 8 bits for layers whose channels it represents badly.
    """
    optimize = ct.optimize.coreml
    integers = optimize.OpLinearQuantizerConfig(
        mode="linear_symmetric", dtype="int8", granularity="per_channel", weight_threshold=MIN_WEIGHTS
    )
    if precision == "int8":
        settings = optimize.OptimizationConfig(op_type_configs=dict.fromkeys(WEIGHTED, integers))
        return optimize.linear_quantize_weights(model, settings)
    # our own k-means: that of coremltools needs another package and is much slower
    palette = optimize.OpPalettizerConfig(
        mode="custom", lut_function=partial(find_palette, bits=PALETTE_BITS), weight_threshold=MIN_WEIGHTS
    )
    others = [
        name
        for name, weight in optimize.get_weights_metadata(model, weight_threshold=MIN_WEIGHTS).items()
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
    """Statistics on the compressed weights of a program, from its protobuf message.

    Returns:
        JSON values: ``layers``, the number of layers with weights; ``compressed``, the number of those that are
        compressed; ``share``, the fraction of all weights that are; ``left_out``, names of the other layers.
    """
    function = program.mlProgram.functions["main"]
    operations = function.block_specializations[function.opset].operations
    makers = {output.name: operation for operation in operations for output in operation.outputs}
    weights = [o.inputs["weight"].arguments[0].name for o in operations if o.type in WEIGHTED]
    sizes: dict[bool, list[int]] = {True: [], False: []}
    left_out = []
    for name in dict.fromkeys(weights):  # layers may share weights
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
    """The operation that computes a value, and the chain of operations before it: a palette may be scaled or cast."""
    while name in makers:
        maker = makers[name]
        yield maker
        names = [b.name for a in maker.inputs.values() for b in a.arguments if b.WhichOneof("binding") == "name"]
        name = names[0] if names and maker.type != "const" else ""


def _count(operation: Any, name: str) -> int:
    """Number of elements in a value."""
    output = next(output for output in operation.outputs if output.name == name)
    count = 1
    for side in output.type.tensorType.dimensions:
        count *= side.constant.size
    return count
