"""Checks a written asset against the spec of its detector."""

from collections import Counter
from collections.abc import Iterator

from mobiledet.errors import UserError
from mobiledet.spec import ModelSpec
from mobiledet_converters.coreai.lowering import IMAGE
from mobiledet_converters.coreai.read import Asset, Tensor

FUNCTION = "main"
CONVOLUTION = "conv2d"


def validate(asset: Asset, spec: ModelSpec, convolutions: int) -> dict[str, int]:
    """Check an asset against the spec of its detector.

    Args:
        asset: the content of the written file.
        spec: spec of the detector.
        convolutions: number of convolutions of the network.

    Returns:
        the number of operations of each kind, without constants.

    Raises:
        UserError: the asset is malformed; the message names all problems.
    """
    problems = list(_problems(asset, spec, convolutions))
    if problems:
        raise UserError(f"{asset.name} is malformed: {'; '.join(problems)}")
    return dict(Counter(operation.kind for operation in asset.operations).most_common())


def _problems(asset: Asset, spec: ModelSpec, convolutions: int) -> Iterator[str]:
    if FUNCTION not in asset.inputs:
        yield f"it has no function {FUNCTION}"
        return
    size = spec.input
    image = {IMAGE: Tensor((1, 3, size.height, size.width), "f32")}
    outputs = {name: Tensor(shape, "f32") for name, shape in spec.output_shapes.items()}
    for role, found, wanted in (
        ("inputs", asset.inputs[FUNCTION], image),
        ("outputs", asset.outputs[FUNCTION], outputs),
    ):
        if list(found.items()) != list(wanted.items()):
            yield f"its {role} are {_describe(found)} instead of {_describe(wanted)}"
    count = sum(operation.kind == CONVOLUTION for operation in asset.operations)
    if count < convolutions:
        yield f"it has {count} convolutions of the network's {convolutions}"
    changing = [o for o in asset.operations if any(side < 0 for tensor in o.outputs for side in tensor.shape)]
    if changing:
        yield f"{len(changing)} operations have variable shapes, {changing[0].kind} first"
    custom = asset.metadata.get("creatorDefinedMetadata", {})
    if custom.get("labels") != list(spec.labels):
        yield "the labels in its metadata are wrong"
    if not asset.metadata.get("author") or not asset.metadata.get("license"):
        yield "its metadata lacks author or licence"


def _describe(tensors: dict[str, Tensor]) -> str:
    return ", ".join(f"{name} {tensor.dtype} {tensor.shape}" for name, tensor in tensors.items()) or "nothing"
