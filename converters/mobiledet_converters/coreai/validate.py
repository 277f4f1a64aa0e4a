"""Is a written asset what it must be? Read from the file again and held against the spec."""

from collections import Counter
from collections.abc import Iterator

from mobiledet.errors import UserError
from mobiledet.spec import ModelSpec
from mobiledet_converters.coreai.lowering import IMAGE
from mobiledet_converters.coreai.read import Asset, Tensor

FUNCTION = "main"
CONVOLUTION = "conv2d"


def validate(asset: Asset, spec: ModelSpec, convolutions: int) -> dict[str, int]:
    """Hold an asset against the spec of its detector.

    Args:
        asset: as it was read back.
        spec: of the detector.
        convolutions: of the network.

    Returns:
        how many operations of each kind it has, constants left out.

    Raises:
        UserError: it is not as it must be; the message names everything that is wrong.
    """
    problems = list(_problems(asset, spec, convolutions))
    if problems:
        raise UserError(f"{asset.name} is not as it must be: {'; '.join(problems)}")
    return dict(Counter(operation.kind for operation in asset.operations).most_common())


def _problems(asset: Asset, spec: ModelSpec, convolutions: int) -> Iterator[str]:
    if FUNCTION not in asset.inputs:
        yield f"it has no function {FUNCTION}"
        return
    size = spec.input
    image = {IMAGE: Tensor((1, 3, size.height, size.width), "f32")}
    outputs = {name: Tensor(shape, "f32") for name, shape in spec.output_shapes.items()}
    for role, found, wanted in (
        ("takes", asset.inputs[FUNCTION], image),
        ("gives", asset.outputs[FUNCTION], outputs),
    ):
        if list(found.items()) != list(wanted.items()):
            yield f"it {role} {_in_words(found)} where {_in_words(wanted)} belong"
    count = sum(operation.kind == CONVOLUTION for operation in asset.operations)
    if count < convolutions:
        yield f"it has {count} convolutions of the network's {convolutions}"
    changing = [o for o in asset.operations if any(side < 0 for tensor in o.outputs for side in tensor.shape)]
    if changing:
        yield f"{len(changing)} operations have no constant shape, {changing[0].kind} first"
    custom = asset.metadata.get("creatorDefinedMetadata", {})
    if custom.get("labels") != list(spec.labels):
        yield "its metadata has other labels"
    if not asset.metadata.get("author") or not asset.metadata.get("license"):
        yield "its metadata lacks author or licence"


def _in_words(tensors: dict[str, Tensor]) -> str:
    return ", ".join(f"{name} {tensor.dtype} {tensor.shape}" for name, tensor in tensors.items()) or "nothing"
