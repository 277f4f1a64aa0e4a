"""Checkpoint to Core ML packages. Run as a process of its own: ``python -m mobiledet_converters.coreml.convert JOB``.

TensorFlow must not be loaded here: with it in the process, coremltools crashes.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from torch import nn

from mobiledet.bundle import GRAPH, VISION
from mobiledet.errors import UserError
from mobiledet.spec import OUTPUTS, ModelSpec
from mobiledet_converters.coreml.describe import describe
from mobiledet_converters.coreml.framework import load_coremltools
from mobiledet_converters.coreml.lowering import Program, lower
from mobiledet_converters.coreml.targets import check_target
from mobiledet_converters.coreml.validate import validate
from mobiledet_converters.coreml.vision import CANDIDATES, vision_pipeline
from mobiledet_converters.job import ConversionJob, ConvertedFile, serve
from mobiledet_converters.passes import apply_passes
from mobiledet_converters.wrapper import CandidateGraph, DetectionGraph

# face -> the network as a graph and its outputs
FACES: dict[str, tuple[type[DetectionGraph] | type[CandidateGraph], Sequence[str]]] = {
    GRAPH: (DetectionGraph, tuple(OUTPUTS)),
    VISION: (CandidateGraph, CANDIDATES),
}


def convert(job: ConversionJob) -> Sequence[ConvertedFile]:
    """Write a package for each precision and face.

    Raises:
        UserError: the checkpoint cannot be read, the precision needs a newer iOS, or a written package is not as it
            must be.
    """
    check_target(job.ios, job.precisions)
    detector, spec = job.load()
    job.announce("loading coremltools")
    ct = load_coremltools()
    convolutions = sum(isinstance(module, nn.Conv2d) for module in detector.modules())
    example = torch.zeros(1, 3, spec.input.height, spec.input.width)
    files = []
    for precision in job.precisions:
        for face in job.faces:
            job.announce(f"lowering the network to {precision}, {face}")
            kind, outputs = FACES[face]
            size = (spec.input.height, spec.input.width)
            graph = apply_passes("coreml", kind(detector, spec).eval(), example)
            program = lower(ct, graph, size, outputs, job.ios, precision != "float32")
            files.append(_write(ct, job, spec, precision, face, program, convolutions))
    return files


def _write(
    ct: ModuleType, job: ConversionJob, spec: ModelSpec, precision: str, face: str, program: Program, convolutions: int
) -> ConvertedFile:
    """Save a package and read it back."""
    model: Any = vision_pipeline(ct, program.model, spec) if face == VISION else program.model
    describe(model, spec, precision, face)
    name = package_name(precision, face)
    model.save(str(job.folder / name))
    job.announce(f"checking {name}")
    operations = validate(job.folder / name, spec, face, job.ios)
    if operations.get("conv", 0) < convolutions:
        raise UserError(f"{name} has {operations.get('conv', 0)} convolutions of the network's {convolutions}")
    structure = {"ios": job.ios, "route": program.route, "operations": operations}
    return ConvertedFile(name, precision, structure, face)


def package_name(precision: str, face: str) -> str:
    """The file that holds a face."""
    return f"model.{precision}{'.vision' if face == VISION else ''}.mlpackage"


if __name__ == "__main__":
    serve(convert)
