"""The rules for Core AI assets. ``ASSET_RULES`` lists all of them.

Apple's systems silently compute some patterns wrongly, as was reported for an iPhone 17 Pro with iOS 27.0; the numbers
are those of coreai-torch's issues. None of these errors occurs on a CPU, so the checks of the export cannot see them.
"""

from collections.abc import Callable, Iterable

from mobiledet_converters.coreai.read import Asset, Operation
from mobiledet_converters.lint.findings import MAX_PLACES, Finding

HALF = "f16"
EVERY, ANE, ACCELERATORS = "every unit", "Neural Engine", "GPU, Neural Engine"
INDICES = ("argmax", "argmin", "reduce_index")
RANKINGS = ("argsort", "sort")
PRODUCTS = ("batch_matmul", "broadcasting_batch_matmul")
GATES = ("mul", "broadcasting_mul")
HARD_SIGMOID = ("hard_sigmoid", "hardsigmoid")
# allowed between a product and its activation: a bias, and operations that change only the shape or type
PASSED = ("add", "broadcasting_add", "reshape", "expand_dims", "shrink_dims", "cast")
NETWORK = ("conv2d", *PRODUCTS)


def rounded_indices(asset: Asset) -> Iterable[Finding]:
    """The index of the largest of several 16-bit numbers (issue 116)."""
    found = [o for o in asset.operations if o.kind in INDICES and _is_half(o)]
    if found:
        yield Finding(
            "index of 16-bit numbers",
            "broken",
            ACCELERATORS,
            f"{_by_kind(found)} on 16-bit numbers (coreai-torch issue 116)",
            _places(found),
            "wrong indices without an error; only the CPU is right",
            "cast to 32 bits first, or use a top-k of one",
        )


def rounded_ranking(asset: Asset) -> Iterable[Finding]:
    """A detector's top-k in 16 bits (issue 115)."""
    found = [o for o in asset.operations if o.kind in RANKINGS and _is_half(o)]
    if found:
        yield Finding(
            "top-k of 16-bit numbers",
            "broken",
            ANE,
            f"{_by_kind(found)} on 16-bit numbers (coreai-torch issue 115)",
            _places(found),
            "all scores of such a head came out as zero, without an error",
            "keep the post-processing in 32 bits, as mobiledet export does",
        )


def product_before_hard_swish(asset: Asset) -> Iterable[Finding]:
    """A matrix product followed by a hard swish (issue 51)."""
    operations = {o.index: o for o in asset.operations}
    found = []
    for gate in (o for o in asset.operations if o.kind in GATES and _is_half(o)):
        sources = [operations[index] for index in gate.sources]
        sigmoids = [o for o in sources if any(name in o.kind for name in HARD_SIGMOID)]
        for sigmoid in sigmoids:
            values = set(sigmoid.sources) & set(gate.sources)
            found += [product for v in values if (product := _product(operations[v], operations))]
    if found:
        yield Finding(
            "product before hard swish",
            "broken",
            ANE,
            f"{len(found)} matrix product(s) in 16 bits before a hard swish (coreai-torch issue 51)",
            _places(found),
            "results are off by a few percent",
            "give the matrix four dimensions, 1 x 1 x rows x columns, or make it a 1 x 1 convolution",
        )


def empty_tensors(asset: Asset) -> Iterable[Finding]:
    """Tensors with no elements."""
    found = [o for o in asset.operations if any(0 in tensor.shape for tensor in (*o.inputs, *o.outputs))]
    if found:
        yield Finding(
            "empty tensor",
            "broken",
            ACCELERATORS,
            f"{_by_kind(found)} with a side of zero",
            _places(found),
            "the app crashes when it loads the asset for them",
            "leave the empty part out of the network",
        )


def changing_shapes(asset: Asset) -> Iterable[Finding]:
    """Tensors whose size is not known before the run."""
    found = [o for o in asset.operations if any(side < 0 for t in (*o.inputs, *o.outputs) for side in t.shape)]
    if found:
        yield Finding(
            "changing shape",
            "slow",
            ACCELERATORS,
            f"{len(found)} operations on tensors of variable shape",
            _places(found),
            "such parts stay on the CPU",
            "convert for one image size and a batch of one",
        )


def wide_network(asset: Asset) -> Iterable[Finding]:
    """A network that computes in 32 bits."""
    network = [o for o in asset.operations if o.kind in NETWORK]
    wide = [o for o in network if o.outputs and o.outputs[0].dtype == "f32" and not _is_half(o)]
    if len(wide) > len(network) / 2:
        yield Finding(
            "network of 32 bits",
            "note",
            ANE,
            f"{len(wide)} of {len(network)} convolutions and products compute in 32 bits",
            _places(wide),
            "the Neural Engine computes only in 16 bits, so CPU and GPU run them",
            "use the float16 file if speed matters",
        )


AssetRule = Callable[[Asset], Iterable[Finding]]
ASSET_RULES: tuple[AssetRule, ...] = (
    rounded_indices,
    rounded_ranking,
    product_before_hard_swish,
    empty_tensors,
    changing_shapes,
    wide_network,
)


def check_asset(asset: Asset) -> list[Finding]:
    """The findings of all rules."""
    return [finding for rule in ASSET_RULES for finding in rule(asset)]


def _product(operation: Operation, operations: dict[int, Operation]) -> Operation | None:
    """The matrix product that a value comes from, if its matrices have at most three dimensions."""
    while operation.kind in PASSED and operation.sources:
        operation = operations[operation.sources[0]]
    is_flat = all(len(tensor.shape) <= 3 for tensor in operation.outputs)
    return operation if operation.kind in PRODUCTS and is_flat else None


def _is_half(operation: Operation) -> bool:
    return any(tensor.dtype == HALF for tensor in operation.inputs)


def _by_kind(operations: list[Operation]) -> str:
    kinds = [o.kind for o in operations]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))


def _places(operations: list[Operation]) -> tuple[str, ...]:
    named = [f"{o.kind} #{o.index} {' x '.join(map(str, o.outputs[0].shape))}" for o in operations[:MAX_PLACES]]
    more = len(operations) - len(named)
    return (*named, f"and {more} more") if more > 0 else tuple(named)
