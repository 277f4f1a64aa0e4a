"""Is a written package what it must be? Core ML's tools on Linux write whatever they are told, wrong wiring included.

Everything is read from the file again and held against the spec: names, shapes and types of features, how the stages of
a pipeline are connected, the labels, and whether the iOS that the package asks for has all of its operations.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mobiledet.bundle import VISION
from mobiledet.errors import UserError
from mobiledet.spec import ModelSpec
from mobiledet_converters.coreml import vision
from mobiledet_converters.coreml.framework import load_coremltools
from mobiledet_converters.coreml.lowering import IMAGE
from mobiledet_converters.coreml.targets import SPECIFICATION_VERSIONS

MAX_RANK = 5  # of tensors in Core ML
Shape = tuple[int, ...]


def validate(path: Path, spec: ModelSpec, face: str, ios: int) -> dict[str, int]:
    """Hold a package against the spec of its detector.

    Args:
        path: the package.
        spec: of the detector.
        face: that it must have, see ``ModelFile``.
        ios: oldest version that must run it.

    Returns:
        how many operations of each kind its program has, constants left out.

    Raises:
        UserError: it is not as it must be; the message names everything that is wrong.
    """
    ct = load_coremltools()
    model = ct.models.MLModel(str(path), skip_model_load=True)
    message = model.get_spec()
    problems = list(_problems(message, spec, face, ios))
    operations: Counter[str] = Counter()
    if not problems:
        program = message.pipeline.models[0] if face == VISION else message
        operations, problems = read_program(program, model.weights_dir)
    if problems:
        raise UserError(f"{path.name} is not as it must be: {'; '.join(problems)}")
    return dict(operations.most_common())


def _problems(message: Any, spec: ModelSpec, face: str, ios: int) -> Iterator[str]:
    if message.specificationVersion != SPECIFICATION_VERSIONS[ios]:
        wanted = SPECIFICATION_VERSIONS[ios]
        yield f"its specification version is {message.specificationVersion}, that of iOS {ios} is {wanted}"
    kind, wanted_kind = message.WhichOneof("Type"), "pipeline" if face == VISION else "mlProgram"
    if kind != wanted_kind:
        yield f"it is a {kind} where a {wanted_kind} belongs"
        return
    required = [feature for feature in message.description.input if not feature.type.isOptional]
    if [feature.name for feature in required] != [IMAGE]:
        yield f"it needs the inputs {_names(required)} where {IMAGE} belongs"
    else:
        yield from _image_problems(required[0], spec)
    if face == VISION:
        yield from _pipeline_problems(message, spec)
    else:
        yield from _array_problems(message.description.output, spec.output_shapes, "output")
        yield from _program_problems(message)


def _image_problems(feature: Any, spec: ModelSpec) -> Iterator[str]:
    image = feature.type.imageType
    found = (feature.type.WhichOneof("Type"), image.height, image.width, image.ColorSpace.Name(image.colorSpace))
    wanted = ("imageType", spec.input.height, spec.input.width, spec.input.channels)
    if found != wanted:
        yield f"its input is {found} (kind, height, width, colours) where {wanted} belongs"


def _array_problems(features: Sequence[Any], shapes: Mapping[str, Shape], role: str) -> Iterator[str]:
    """Features of exactly these names, in this order, of these shapes and of 32-bit numbers."""
    if [feature.name for feature in features] != list(shapes):
        yield f"its {role}s are {_names(features)} where {', '.join(shapes)} belong"
        return
    for feature in features:
        array = feature.type.multiArrayType
        if tuple(array.shape) != shapes[feature.name]:
            yield f"{role} {feature.name} is of shape {tuple(array.shape)} where {shapes[feature.name]} belongs"
        if array.dataType != array.ArrayDataType.Value("FLOAT32"):
            yield f"{role} {feature.name} is not of 32-bit floats"


def _program_problems(message: Any) -> Iterator[str]:
    """Whether the features that an ML Program describes are those of its function."""
    functions = message.mlProgram.functions
    if list(functions) != ["main"]:
        yield f"its functions are {', '.join(sorted(functions)) or 'none'} where main belongs"
        return
    function = functions["main"]
    block = function.block_specializations[function.opset]
    for role, described, own in (
        ("inputs", message.description.input, [value.name for value in function.inputs]),
        ("outputs", message.description.output, list(block.outputs)),
    ):
        if [feature.name for feature in described] != own:
            yield f"its program has the {role} {', '.join(own)}, its description {_names(described)}"


def _pipeline_problems(message: Any, spec: ModelSpec) -> Iterator[str]:
    kinds = [stage.WhichOneof("Type") for stage in message.pipeline.models]
    if kinds != ["mlProgram", "nonMaximumSuppression"]:
        yield f"its stages are {', '.join(kinds) or 'none'} where mlProgram, nonMaximumSuppression belong"
        return
    program, last = message.pipeline.models
    for stage in message.pipeline.models:
        if stage.specificationVersion != message.specificationVersion:
            kind = stage.WhichOneof("Type")
            yield f"its stage {kind} is of version {stage.specificationVersion}, not {message.specificationVersion}"
    if _names(program.description.input) != IMAGE:
        yield f"its program takes {_names(program.description.input)} where {IMAGE} belongs"
    else:
        yield from _image_problems(program.description.input[0], spec)
    rows = _rows(program)
    shapes = dict(zip(vision.CANDIDATES, [(rows, spec.num_classes), (rows, 4)], strict=True))
    if not 0 < rows <= spec.nms.top_k:
        yield f"its program gives {rows} candidates where 1 to {spec.nms.top_k} belong"
    yield from _array_problems(program.description.output, shapes, "candidate")
    yield from _program_problems(program)
    yield from _wiring_problems(last, message)
    yield from _suppression_problems(last, message, spec)


def _rows(program: Any) -> int:
    shapes = [output.type.multiArrayType.shape for output in program.description.output]
    return shapes[0][0] if shapes and shapes[0] else 0


def _wiring_problems(last: Any, message: Any) -> Iterator[str]:
    """Whether the suppression reads what the program gives, and gives what the pipeline promises."""
    suppression = last.nonMaximumSuppression
    for role, found, wanted in (
        ("confidence input", suppression.confidenceInputFeatureName, vision.CANDIDATES[0]),
        ("coordinates input", suppression.coordinatesInputFeatureName, vision.CANDIDATES[1]),
        ("IoU threshold", suppression.iouThresholdInputFeatureName, vision.THRESHOLDS[0]),
        ("confidence threshold", suppression.confidenceThresholdInputFeatureName, vision.THRESHOLDS[1]),
        ("confidence output", suppression.confidenceOutputFeatureName, vision.OUTPUTS[0]),
        ("coordinates output", suppression.coordinatesOutputFeatureName, vision.OUTPUTS[1]),
    ):
        if found != wanted:
            yield f"its suppression names {found or 'nothing'} as its {role} where {wanted} belongs"
    for owner, features, names in (
        ("suppression takes", last.description.input, (*vision.CANDIDATES, *vision.THRESHOLDS)),
        ("suppression gives", last.description.output, vision.OUTPUTS),
        ("pipeline takes", message.description.input, (IMAGE, *vision.THRESHOLDS)),
        ("pipeline gives", message.description.output, vision.OUTPUTS),
    ):
        if [feature.name for feature in features] != list(names):
            yield f"its {owner} {_names(features)} where {', '.join(names)} belong"
    for feature in (*last.description.input, *message.description.input):
        is_optional_number = feature.type.isOptional and feature.type.WhichOneof("Type") == "doubleType"
        if feature.name in vision.THRESHOLDS and not is_optional_number:
            yield f"{feature.name} is not an optional number of double precision"


def _suppression_problems(last: Any, message: Any, spec: ModelSpec) -> Iterator[str]:
    suppression = last.nonMaximumSuppression
    labels = list(suppression.stringClassLabels.vector)
    if labels != list(spec.labels):
        yield f"its suppression has {len(labels)} labels ({', '.join(labels[:3])} ...) where {spec.num_classes} belong"
    if not suppression.pickTop.perClass:
        yield "its suppression does not tell classes apart"
    if abs(suppression.iouThreshold - spec.nms.iou) > 1e-6:
        yield f"its IoU threshold is {suppression.iouThreshold:g} where {spec.nms.iou:g} belongs"
    lowest = max(spec.nms.score, vision.LOWEST_SCORE)
    if abs(suppression.confidenceThreshold - lowest) > 1e-6:
        yield f"its confidence threshold is {suppression.confidenceThreshold:g} where {lowest:g} belongs"
    for description in (last.description, message.description):
        for name, columns in zip(vision.OUTPUTS, (spec.num_classes, 4), strict=True):
            for feature in (f for f in description.output if f.name == name):
                array = feature.type.multiArrayType
                ranges = [(side.lowerBound, side.upperBound) for side in array.shapeRange.sizeRanges]
                wanted = [(0, spec.nms.max_detections), (columns, columns)]
                if ranges != wanted or array.dataType != array.ArrayDataType.Value("FLOAT32"):
                    yield f"output {name} is of sides {ranges} where {wanted} in 32-bit floats belong"


def read_program(message: Any, weights: str) -> tuple[Counter[str], list[str]]:
    """Infer the types of the whole program anew.

    Args:
        message: Model with an ML Program.
        weights: folder of its blobs.

    Returns:
        counts of its operations, and what is wrong with them.
    """
    from coremltools.converters.mil.frontend.milproto.load import load as load_program
    from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

    function = message.mlProgram.functions["main"]
    wanted = f"CoreML{message.specificationVersion - 1}"
    if function.opset != wanted:
        return Counter(), [f"its operations are those of {function.opset}, its specification version says {wanted}"]
    block = function.block_specializations[function.opset]
    operations = Counter(operation.type for operation in block.operations)
    del operations["const"]
    # a version that brings no operations of its own, as iOS 26, has those of the one before
    target = min(message.specificationVersion, max(SSAOpRegistry.SUPPORTED_OPSET_VERSIONS))
    missing = [kind for kind in operations if target not in SSAOpRegistry.core_ops.get(kind, {})]
    if missing:
        return operations, [f"the iOS that it asks for has no operation {', '.join(sorted(missing))}"]
    try:
        program = load_program(message, message.specificationVersion, weights)
    except Exception as error:  # the loader is free to raise what it likes
        return operations, [f"its program cannot be read back ({' '.join(str(error).split())[:300]})"]
    problems = []
    for operation in program.functions["main"].operations:
        if operation.op_type == "const":
            continue  # palettes of iOS 18 have two sides more than the weights
        for value in operation.outputs:
            shape = getattr(value, "shape", ())
            if not all(isinstance(side, int) or str(side).isdigit() for side in shape) or len(shape) > MAX_RANK:
                problems.append(f"{operation.op_type} ({value.name}) gives the shape {tuple(shape)}")
    return operations, problems[:3]


def _names(features: Sequence[Any]) -> str:
    return ", ".join(feature.name for feature in features) or "none"
