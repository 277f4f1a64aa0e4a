"""Checkpoint to Core ML packages. Run as a process of its own: ``python -m mobiledet_converters.coreml.convert JOB``.

TensorFlow must not be loaded here: with it in the process, coremltools crashes.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from mobiledet import __version__
from mobiledet.bundle import GRAPH
from mobiledet.errors import UserError
from mobiledet.spec import OUTPUTS, ModelSpec
from mobiledet_converters.coreml.framework import load_coremltools
from mobiledet_converters.job import ConversionJob, ConvertedFile, serve
from mobiledet_converters.wrapper import DetectionGraph, PostProcess, prepare

KEPT_IN_32_BITS = PostProcess.__name__


def convert(job: ConversionJob) -> Sequence[ConvertedFile]:
    """Write ``model.PRECISION.mlpackage`` for each precision.

    Raises:
        UserError: the checkpoint cannot be read, or a written package is not as it must be.
    """
    detector, spec = job.load()
    job.announce("loading coremltools")
    ct = load_coremltools()

    graph = DetectionGraph(detector, spec).eval()
    prepare(graph)
    convolutions = sum(isinstance(module, torch.nn.Conv2d) for module in detector.modules())
    files = []
    for precision in job.precisions:
        job.announce(f"lowering the network to {precision}")
        model = _lower(ct, graph, spec, precision)
        _describe(model, spec)
        job.announce(f"checking {precision}")
        name = f"model.{precision}.mlpackage"
        model.save(str(job.folder / name))
        operations = check_structure(job.folder / name, spec, convolutions)
        files.append(ConvertedFile(name, precision, {"operations": operations}, GRAPH))
    return files


def _lower(ct: ModuleType, graph: DetectionGraph, spec: ModelSpec, precision: str) -> Any:
    """The network as an ML Program."""
    image = torch.zeros(1, 3, spec.input.height, spec.input.width)
    with torch.no_grad():
        program = torch.export.export(graph, (image,)).run_decompositions({})
    for node in program.graph.nodes:
        modules = (node.meta.get("nn_module_stack") or {}).values()
        if any(KEPT_IN_32_BITS in str(kind) for _, kind in modules):
            node.meta["stack_trace"] = KEPT_IN_32_BITS  # coremltools hands it on to its operations
    pipeline = ct.PassPipeline()
    # it gives every top-k 16-bit indices, without asking whether there are more than 32767 entries
    pipeline.remove_passes({"common::add_int16_cast"})
    float16 = ct.transform.FP16ComputePrecision(op_selector=_is_network)
    return ct.convert(
        program,
        inputs=[ct.ImageType("image", shape=tuple(image.shape), color_layout=ct.colorlayout.RGB)],
        outputs=[ct.TensorType(name, dtype=np.float32) for name in OUTPUTS],
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS17,
        compute_precision=float16 if precision == "float16" else ct.precision.FLOAT32,
        pass_pipeline=pipeline,
        skip_model_load=True,
    )


def _is_network(operation: Any) -> bool:
    """Whether an operation belongs to the network and not to the post-processing.

    Indices above 2048 and corners of boxes do not survive 16 bits.
    """
    return not any(KEPT_IN_32_BITS in str(origin) for origin in operation.scopes.values())


def _describe(model: Any, spec: ModelSpec) -> None:
    model.short_description = f"Object detector {spec.detector} on {spec.backbone}: {', '.join(spec.labels)}"
    model.author = f"mobiledet {__version__}"
    model.version = "1"
    model.license = "Apache-2.0"
    model.user_defined_metadata["labels"] = "\n".join(spec.labels)
    model.user_defined_metadata["mobiledet"] = json.dumps(spec.to_json())
    model.input_description["image"] = f"RGB image, {spec.input.width} x {spec.input.height}"
    model.output_description["boxes"] = "(ymin, xmin, ymax, xmax) as fractions of the image, best first"
    model.output_description["classes"] = "class of each box, an index into the labels"
    model.output_description["scores"] = "0..1, falling"
    model.output_description["count"] = "how many rows are valid"


def check_structure(path: Path, spec: ModelSpec, convolutions: int) -> dict[str, int]:
    """Read a package back, infer the types of the whole program anew, and hold it against the network.

    Returns:
        how many operations of each kind it has.

    Raises:
        UserError: an input, output, shape, type or operation is not as it must be.
    """
    import coremltools as ct
    from coremltools.converters.mil.frontend.milproto.load import load as load_program

    model = ct.models.MLModel(str(path), skip_model_load=True)
    proto = model.get_spec()
    image = proto.description.input[0].type.imageType
    given = (image.height, image.width, image.colorSpace)
    wanted = (spec.input.height, spec.input.width, image.ColorSpace.Value("RGB"))
    if len(proto.description.input) != 1 or given != wanted:
        raise UserError(f"the converter wrote an input (height, width, colour) {given} where {wanted} belongs")
    shapes = spec.output_shapes
    outputs = {output.name: output.type.multiArrayType for output in proto.description.output}
    found = {name: tuple(array.shape) for name, array in outputs.items()}
    if found != shapes or any(array.dataType != array.ArrayDataType.Value("FLOAT32") for array in outputs.values()):
        raise UserError(f"the converter wrote the outputs {found} where {shapes} in float32 belong")

    program = load_program(proto, proto.specificationVersion, model.weights_dir)
    operations = Counter(operation.op_type for operation in program.functions["main"].operations)
    del operations["const"]
    if operations["conv"] < convolutions:
        raise UserError(f"the converter wrote {operations['conv']} convolutions of the network's {convolutions}")
    return dict(operations.most_common())


if __name__ == "__main__":
    serve(convert)
