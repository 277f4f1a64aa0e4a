"""Checks a written package against the spec: on Linux, Core ML's tools also write packages with errors.

Everything is read back from the file and checked: names, shapes and types of features, the connections between the
stages of a pipeline, the labels, and whether the oldest iOS version has all of its operations.
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
    """Check a package against the spec of its detector.

    Args:
        path: the package.
        spec: spec of the detector.
        face: the interface that it must have, see ``ModelFile``.
        ios: oldest iOS version that must run it.

    Returns:
        the number of operations of each kind in its program, without constants.

    Raises:
        UserError: the package is malformed; the message names all problems.
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
        raise UserError(f"{path.name} is malformed: {'; '.join(problems)}")
    return dict(operations.most_common())


def _problems(message: Any, spec: ModelSpec, face: str, ios: int) -> Iterator[str]:
    if message.specificationVersion != SPECIFICATION_VERSIONS[ios]:
        wanted = SPECIFICATION_VERSIONS[ios]
        yield f"its specification version is {message.specificationVersion}, that of iOS {ios} is {wanted}"
    kind, wanted_kind = message.WhichOneof("Type"), "pipeline" if face == VISION else "mlProgram"
    if kind != wanted_kind:
        yield f"it is a {kind} instead of a {wanted_kind}"
        return
    required = [feature for feature in message.description.input if not feature.type.isOptional]
    if [feature.name for feature in required] != [IMAGE]:
        yield f"its required inputs are {_names(required)} instead of {IMAGE}"
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
        yield f"its input is {found} (kind, height, width, colours) instead of {wanted}"


def _array_problems(features: Sequence[Any], shapes: Mapping[str, Shape], role: str) -> Iterator[str]:
    """Problems of features that must have exactly these names, in this order, these shapes, and 32-bit floats."""
    if [feature.name for feature in features] != list(shapes):
        yield f"its {role}s are {_names(features)} instead of {', '.join(shapes)}"
        return
    for feature in features:
        array = feature.type.multiArrayType
        if tuple(array.shape) != shapes[feature.name]:
            yield f"{role} {feature.name} has the shape {tuple(array.shape)} instead of {shapes[feature.name]}"
        if array.dataType != array.ArrayDataType.Value("FLOAT32"):
            yield f"{role} {feature.name} does not contain 32-bit floats"


def _program_problems(message: Any) -> Iterator[str]:
    """Problems if the features in the description of an ML Program differ from those of its function."""
    functions = message.mlProgram.functions
    if list(functions) != ["main"]:
        yield f"its functions are {', '.join(sorted(functions)) or 'none'} instead of main"
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
        yield f"its stages are {', '.join(kinds) or 'none'} instead of mlProgram, nonMaximumSuppression"
        return
    program, last = message.pipeline.models
    for stage in message.pipeline.models:
        if stage.specificationVersion != message.specificationVersion:
            kind = stage.WhichOneof("Type")
            yield f"its stage {kind} is of version {stage.specificationVersion}, not {message.specificationVersion}"
    if _names(program.description.input) != IMAGE:
        yield f"its program has the inputs {_names(program.description.input)} instead of {IMAGE}"
    else:
        yield from _image_problems(program.description.input[0], spec)
    rows = _rows(program)
    shapes = dict(zip(vision.CANDIDATES, [(rows, spec.num_classes), (rows, 4)], strict=True))
    if not 0 < rows <= spec.nms.top_k:
        yield f"its program returns {rows} candidates instead of 1 to {spec.nms.top_k}"
    yield from _array_problems(program.description.output, shapes, "candidate")
    yield from _program_problems(program)
    yield from _wiring_problems(last, message)
    yield from _suppression_problems(last, message, spec)


def _rows(program: Any) -> int:
    shapes = [output.type.multiArrayType.shape for output in program.description.output]
    return shapes[0][0] if shapes and shapes[0] else 0


def _wiring_problems(last: Any, message: Any) -> Iterator[str]:
    """Problems in the connections from the program to the suppression and to the outputs of the pipeline."""
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
            yield f"its suppression names {found or 'nothing'} as its {role} instead of {wanted}"
    for owner, features, names in (
        ("suppression has the inputs", last.description.input, (*vision.CANDIDATES, *vision.THRESHOLDS)),
        ("suppression has the outputs", last.description.output, vision.OUTPUTS),
        ("pipeline has the inputs", message.description.input, (IMAGE, *vision.THRESHOLDS)),
        ("pipeline has the outputs", message.description.output, vision.OUTPUTS),
    ):
        if [feature.name for feature in features] != list(names):
            yield f"its {owner} {_names(features)} instead of {', '.join(names)}"
    for feature in (*last.description.input, *message.description.input):
        is_optional_number = feature.type.isOptional and feature.type.WhichOneof("Type") == "doubleType"
        if feature.name in vision.THRESHOLDS and not is_optional_number:
            yield f"{feature.name} is not an optional number of double precision"


def _suppression_problems(last: Any, message: Any, spec: ModelSpec) -> Iterator[str]:
    suppression = last.nonMaximumSuppression
    labels = list(suppression.stringClassLabels.vector)
    if labels != list(spec.labels):
        yield f"its suppression has {len(labels)} labels ({', '.join(labels[:3])} ...) instead of {spec.num_classes}"
    if not suppression.pickTop.perClass:
        yield "its suppression ignores classes"
    if abs(suppression.iouThreshold - spec.nms.iou) > 1e-6:
        yield f"its IoU threshold is {suppression.iouThreshold:g} instead of {spec.nms.iou:g}"
    lowest = max(spec.nms.score, vision.LOWEST_SCORE)
    if abs(suppression.confidenceThreshold - lowest) > 1e-6:
        yield f"its confidence threshold is {suppression.confidenceThreshold:g} instead of {lowest:g}"
    for description in (last.description, message.description):
        for name, columns in zip(vision.OUTPUTS, (spec.num_classes, 4), strict=True):
            for feature in (f for f in description.output if f.name == name):
                array = feature.type.multiArrayType
                ranges = [(side.lowerBound, side.upperBound) for side in array.shapeRange.sizeRanges]
                wanted = [(0, spec.nms.max_detections), (columns, columns)]
                if ranges != wanted or array.dataType != array.ArrayDataType.Value("FLOAT32"):
                    yield f"output {name} has the sides {ranges} instead of {wanted} in 32-bit floats"


def read_program(message: Any, weights: str) -> tuple[Counter[str], list[str]]:
    """Read a program back, which infers the types of all operations again.

    Args:
        message: Model with an ML Program.
        weights: folder of its weight files.

    Returns:
        counts of its operations by kind, and their problems.
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
    # a version without new operations, such as iOS 26, has those of the version before
    target = min(message.specificationVersion, max(SSAOpRegistry.SUPPORTED_OPSET_VERSIONS))
    missing = [kind for kind in operations if target not in SSAOpRegistry.core_ops.get(kind, {})]
    if missing:
        return operations, [f"its oldest iOS version has no operation {', '.join(sorted(missing))}"]
    try:
        program = load_program(message, message.specificationVersion, weights)
    except Exception as error:  # the loader may raise any exception
        return operations, [f"its program cannot be read back ({' '.join(str(error).split())[:300]})"]
    problems = []
    for operation in program.functions["main"].operations:
        if operation.op_type == "const":
            continue  # palettes of iOS 18 have two dimensions more than the weights
        for value in operation.outputs:
            shape = getattr(value, "shape", ())
            if not all(isinstance(side, int) or str(side).isdigit() for side in shape) or len(shape) > MAX_RANK:
                problems.append(f"{operation.op_type} ({value.name}) returns the shape {tuple(shape)}")
    return operations, problems[:3]


def _names(features: Sequence[Any]) -> str:
    return ", ".join(feature.name for feature in features) or "none"
