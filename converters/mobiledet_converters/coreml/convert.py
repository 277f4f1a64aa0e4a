"""Converts a checkpoint to Core ML packages. Run as a process of its own: ``python -m
mobiledet_converters.coreml.convert JOB``.

TensorFlow must not be loaded in this process, or coremltools crashes.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from mobiledet.bundle import GRAPH, VISION
from mobiledet.detectors import Detector
from mobiledet.errors import UserError
from mobiledet.spec import OUTPUTS, ModelSpec
from mobiledet_converters.coreml.codes import codes_problem, compare_codes
from mobiledet_converters.coreml.compress import COMPRESSED, compress, weights_report
from mobiledet_converters.coreml.describe import describe
from mobiledet_converters.coreml.framework import load_coremltools
from mobiledet_converters.coreml.lowering import EXPORT, TRACE, Program, lower
from mobiledet_converters.coreml.quantize import W8A8, Quantization
from mobiledet_converters.coreml.targets import check_target
from mobiledet_converters.coreml.validate import validate
from mobiledet_converters.coreml.vision import CANDIDATES, vision_pipeline
from mobiledet_converters.job import ConversionJob, ConvertedFile, serve
from mobiledet_converters.passes import apply_passes
from mobiledet_converters.wrapper import CandidateGraph, DetectionGraph, ImageGraph

# face -> the graph of the network and the names of its outputs
FACES: dict[str, tuple[type[DetectionGraph] | type[CandidateGraph], Sequence[str]]] = {
    GRAPH: (DetectionGraph, tuple(OUTPUTS)),
    VISION: (CandidateGraph, CANDIDATES),
}


def convert(job: ConversionJob) -> Sequence[ConvertedFile]:
    """Write a package for each precision and face.

    Raises:
        UserError: the checkpoint cannot be read, the precision needs a newer iOS, or a written package is malformed.
    """
    check_target(job.ios, job.precisions)
    detector, spec = job.load()
    job.announce("loading coremltools")
    load_coremltools()
    writer = PackageWriter(job, detector, spec)
    return [file for precision in job.precisions for file in writer.write(precision)]


class PackageWriter:
    """Writes the packages of a detector, one precision after the other.

    Args:
        job: provides the folder and the faces.
        detector: a detector in evaluation mode.
        spec: its spec.
    """

    def __init__(self, job: ConversionJob, detector: Detector, spec: ModelSpec) -> None:
        self._ct = load_coremltools()
        self._job = job
        self._spec = spec
        self._size = (spec.input.height, spec.input.width)
        self._convolutions = sum(isinstance(module, nn.Conv2d) for module in detector.modules())
        graph = DetectionGraph(detector, spec).eval()
        self._network = apply_passes("coreml", graph, torch.zeros(1, 3, *self._size), job.announce)
        self._float16: dict[str, Program] = {}  # by face, to be compressed later

    def write(self, precision: str) -> list[ConvertedFile]:
        """Write the packages of a precision, one for each face."""
        network: ImageGraph = self._quantize() if precision == W8A8 else self._network
        files = []
        for face in self._job.faces:
            self._job.announce(f"lowering the network to {precision}, {face}")
            program = self._program(network, precision, face)
            name, structure = self._save(program, precision, face)
            problem = ""
            if precision == W8A8:
                codes = compare_codes(network, self._job.folder / name, self._job.calibration_images()[0])
                structure["codes"] = codes
                problem = codes_problem(codes)
            files.append(ConvertedFile(name, precision, structure, face, problem))
        return files

    def _quantize(self) -> ImageGraph:
        """The network with 8-bit weights and activations."""
        images = self._job.calibration_images()
        self._job.announce(f"quantising with {len(images)} calibration images")
        return Quantization(self._network, images).finalize()

    def _program(self, network: ImageGraph, precision: str, face: str) -> Program:
        if precision in COMPRESSED:
            if face not in self._float16:
                self._float16[face] = self._program(network, "float16", face)
            program = self._float16[face]
            return program._replace(model=compress(self._ct, program.model, precision))
        kind, outputs = FACES[face]
        graph = kind(network.detector, self._spec).eval()
        graph.normalization = network.normalization
        # torch.export does not support the integer operations
        routes = (TRACE,) if precision == W8A8 else (EXPORT, TRACE)
        program = lower(self._ct, graph, self._size, outputs, self._job.ios, precision != "float32", routes)
        if precision == "float16":
            self._float16[face] = program
        return program

    def _save(self, program: Program, precision: str, face: str) -> tuple[str, dict[str, Any]]:
        """Write a package and read it back; returns its name and facts about it."""
        model: Any = vision_pipeline(self._ct, program.model, self._spec) if face == VISION else program.model
        describe(model, self._spec, precision, face)
        name = package_name(precision, face)
        model.save(str(self._job.folder / name))
        self._job.announce(f"checking {name}")
        operations = validate(self._job.folder / name, self._spec, face, self._job.ios)
        convolutions = operations.get("conv", 0)
        if convolutions < self._convolutions:
            raise UserError(f"{name} has {convolutions} convolutions of the network's {self._convolutions}")
        structure = {"ios": self._job.ios, "route": program.route, "operations": operations}
        if precision in (*COMPRESSED, W8A8):
            structure["weights"] = weights_report(program.model.get_spec())
        return name, structure


def package_name(precision: str, face: str) -> str:
    """The name of the package of a precision and face."""
    return f"model.{precision}{'.vision' if face == VISION else ''}.mlpackage"


if __name__ == "__main__":
    serve(convert)
