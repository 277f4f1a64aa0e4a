"""The lint rules for .tflite files. ``RULES`` lists all of them."""

from collections.abc import Callable, Iterable

from mobiledet.devices.partitions import Partitions
from mobiledet_converters.lint.accelerators import GPU, KNOWN_CUSTOM, MAX_RANK, NPU, REFUSED
from mobiledet_converters.lint.findings import Finding, by_kind, places
from mobiledet_converters.lint.graph import FileGraph, Operation

EVERY, CPU, ON_GPU, ON_NPU = "every runtime", "CPU (XNNPACK)", "GPU", "NPU"
INTEGERS = ("int8", "uint8", "int16")
LARGE_CONSTANT = 50_000  # bytes
MOVING = ("TRANSPOSE",)
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "DEQUANTIZE", "EMBEDDING_LOOKUP")


def refused_operations(graph: FileGraph, partitions: Partitions) -> Iterable[Finding]:
    """Operations that no runtime on a phone has."""
    refused = [
        o
        for o in graph.operations
        if o.kind.startswith(REFUSED) or (o.is_custom and o.kind not in KNOWN_CUSTOM and not o.kind.startswith("Flex"))
    ]
    if refused:
        yield Finding(
            "refused operation",
            "broken",
            EVERY,
            f"{by_kind(refused)}: not among LiteRT's built-in operations",
            places(refused),
            "the file does not load in an app without a library that adds them",
            "express the layer in built-in operations, or convert with mobiledet export",
        )


def custom_post_processing(graph: FileGraph, partitions: Partitions) -> Iterable[Finding]:
    """The only custom operation that runtimes support."""
    known = [o for o in graph.operations if o.is_custom and o.kind in KNOWN_CUSTOM]
    if known:
        yield Finding(
            "custom operation",
            "note",
            EVERY,
            f"{by_kind(known)} performs box decoding and suppression",
            places(known),
            "it runs only on the CPU, and its boxes may reach beyond the image",
            "export with --postprocess graph if boxes must be clipped, as MediaPipe expects",
        )


def changing_shapes(graph: FileGraph, partitions: Partitions) -> Iterable[Finding]:
    """Tensors whose size is not known before the run."""
    changing = [o for o in graph.operations if any(side < 0 for t in o.tensors for side in t.shape)]
    if changing:
        yield Finding(
            "changing shape",
            "broken",
            "GPU, NPU",
            f"{len(changing)} operations on tensors of variable shape",
            places(changing),
            "GPUs and NPUs refuse them; some runtimes silently return zeros",
            "convert for one image size and a batch of one",
        )


def many_dimensions(graph: FileGraph, partitions: Partitions) -> Iterable[Finding]:
    """Tensors with more dimensions than accelerators support."""
    high = [o for o in graph.operations if max(len(t.shape) for t in o.tensors) > MAX_RANK]
    if high:
        rank = max(len(t.shape) for o in high for t in o.tensors)
        yield Finding(
            "too many dimensions",
            "slow",
            "GPU, NPU",
            f"{len(high)} operations on tensors with up to {rank} dimensions: {by_kind(high)}",
            places(high),
            "each runs on the CPU, with a copy to it and one back",
            f"reshape so that no tensor has more than {MAX_RANK} dimensions",
        )


def long_integers(graph: FileGraph, partitions: Partitions) -> Iterable[Finding]:
    """64-bit integers, which accelerators do not support."""
    long = [o for o in graph.operations if any(t.type == "int64" for t in o.tensors)]
    if long:
        yield Finding(
            "64-bit integers",
            "slow",
            "GPU, NPU",
            f"{len(long)} operations on int64: {by_kind(long)}",
            places(long),
            "they run on the CPU",
            "compute with int32 or float32",
        )


def transpositions(graph: FileGraph, partitions: Partitions) -> Iterable[Finding]:
    """Operations that only reorder data."""
    moving = [o for o in graph.operations if o.kind in MOVING]
    if moving:
        moved = sum(o.outputs[0].bytes for o in moving)
        yield Finding(
            "transposition",
            "slow",
            EVERY,
            f"{len(moving)} TRANSPOSE of {moved / 1e6:.1f} MB in all",
            places(moving),
            "memory traffic without arithmetic, on many NPUs the slowest operations of all",
            "absorb the order in neighbouring 1x1 convolutions (export does); ShuffleNetV1 has no faster form",
        )


def padded_maximum(graph: FileGraph, partitions: Partitions) -> Iterable[Finding]:
    """Padding with minus infinity."""
    padding = [o for o in graph.operations if o.kind == "PADV2"]
    if padding:
        yield Finding(
            "padding with a value",
            "slow",
            f"{CPU}, GPU, NPU",
            f"{by_kind(padding)} before max pooling",
            places(padding),
            "no delegate supports it, so it splits the network in two",
            "after a ReLU pad the map with zeros, see mobiledet_converters/passes/pooling.py",
        )


def cut_network(graph: FileGraph, partitions: Partitions) -> Iterable[Finding]:
    """Operations that XNNPACK leaves to slower kernels."""
    operations = {o.index: o for o in graph.operations}
    for post_processing in (False, True):
        left = [
            operations[i]
            for i in partitions.left
            if operations[i].is_post_processing == post_processing and not _is_at_the_edge(operations[i])
        ]
        parts = sum(
            any(operations[i].is_post_processing == post_processing for i in part) for part in partitions.delegated
        )
        if left:
            name = "post-processing" if post_processing else "network"
            yield Finding(
                f"XNNPACK leaves part of the {name}",
                "note" if post_processing or parts == 1 else "slow",  # at the end of the network they split nothing
                CPU,
                f"the {name} runs in {parts} partition(s); left to LiteRT's own kernels: {by_kind(left)}",
                places(left),
                "these kernels mostly use one thread and no vector instructions, and tensors pass between partitions",
                "top-k and row lookups cannot be replaced; they take microseconds"
                if post_processing
                else "replace these layers, or keep them in floats if there is no 8-bit form",
            )


def left_by_gpu(graph: FileGraph, partitions: Partitions) -> Iterable[Finding]:
    """Operations that LiteRT's GPU delegate does not support."""
    yield from _left_by(graph, GPU, ON_GPU, "the GPU passes its tensors to the CPU and waits")


def left_by_npu(graph: FileGraph, partitions: Partitions) -> Iterable[Finding]:
    """Operations and types that NPUs do not support."""
    floats = [o for o in graph.operations if not o.is_post_processing and o.outputs[0].type.startswith("float")]
    network = [o for o in graph.operations if not o.is_post_processing]
    if network and len(floats) > len(network) // 2:
        yield Finding(
            "floats in the network",
            "note",
            ON_NPU,
            f"{len(floats)} of {len(network)} operations of the network compute floats",
            (),
            "most NPUs compute 8-bit integers; such a file runs on the CPU, or on NPUs with 16-bit floats",
            "export with --precision int8",
        )
    yield from _left_by(graph, NPU, ON_NPU, "an NPU without such an operation leaves the rest to the CPU")


def requantised(graph: FileGraph, partitions: Partitions) -> Iterable[Finding]:
    """Integer tensors that are only rescaled."""
    rescaled = [
        o
        for o in graph.operations
        if o.kind == "QUANTIZE" and o.inputs[0].type in INTEGERS and o.outputs[0].type == o.inputs[0].type
    ]
    if rescaled:
        moved = sum(o.outputs[0].bytes for o in rescaled)
        yield Finding(
            "requantisation",
            "slow",
            "CPU (XNNPACK), NPU",
            f"{len(rescaled)} QUANTIZE from integers to integers, {moved / 1e6:.1f} MB in all",
            places(rescaled),
            "a pass over each tensor that computes nothing",
            "give the inputs of each concatenation the scale of its output",
        )


def large_constants(graph: FileGraph, partitions: Partitions) -> Iterable[Finding]:
    """Large constants that are not weights."""
    for operation in graph.operations:
        large = [t for t in operation.inputs if t.is_constant and t.bytes > LARGE_CONSTANT]
        if large and operation.kind not in WEIGHTED:
            yield Finding(
                "large constant",
                "note",
                EVERY,
                f"{operation.kind} reads {large[0].bytes / 1e3:.0f} kB that are not weights, {large[0].shape}",
                places([operation]),
                "the file is larger",
                "compute it at run time, or store a smaller factor of it",
            )


Rule = Callable[[FileGraph, Partitions], Iterable[Finding]]
RULES: tuple[Rule, ...] = (
    refused_operations,
    custom_post_processing,
    changing_shapes,
    many_dimensions,
    long_integers,
    transpositions,
    padded_maximum,
    cut_network,
    left_by_gpu,
    left_by_npu,
    requantised,
    large_constants,
)


def check_file(graph: FileGraph, partitions: Partitions) -> list[Finding]:
    """All findings of all rules, in their order."""
    return [finding for rule in RULES for finding in rule(graph, partitions)]


def _left_by(graph: FileGraph, supported: frozenset[str], accelerator: str, cost: str) -> Iterable[Finding]:
    for post_processing in (False, True):
        left = [o for o in graph.operations if o.kind not in supported and o.is_post_processing == post_processing]
        left = [o for o in left if not _is_at_the_edge(o)]
        if left:
            yield Finding(
                f"not on the {accelerator}",
                "note" if post_processing else "slow",
                accelerator,
                f"{'post-processing' if post_processing else 'network'}: {by_kind(left)}",
                places(left),
                cost
                if not post_processing
                else "decoding and suppression run on the CPU, in the 32 bits that they need, once for each image",
                "export with --postprocess none and decode in the app, if that is faster"
                if post_processing
                else "choose another layer or another backbone",
            )


def _is_at_the_edge(operation: Operation) -> bool:
    """Whether it converts between the app's and the network's number types, or dequantises weights."""
    if operation.kind == "DEQUANTIZE" and operation.inputs[0].is_constant:
        return True
    return operation.kind in ("QUANTIZE", "DEQUANTIZE") and "float32" in (
        operation.inputs[0].type,
        operation.outputs[0].type,
    )
