"""Converts a checkpoint to .tflite files. Run as a process of its own: ``python -m mobiledet_converters.tflite.convert
JOB``."""

from collections.abc import Sequence
from dataclasses import asdict

import torch
from torch import nn

from mobiledet_converters.job import ConversionJob, ConvertedFile, serve
from mobiledet_converters.passes import apply_passes
from mobiledet_converters.precisions import needs_calibration
from mobiledet_converters.tflite.ending import choose_ending
from mobiledet_converters.tflite.equalize import equalize, has_leaky_relu
from mobiledet_converters.tflite.lower import lower
from mobiledet_converters.tflite.names import shorten_names
from mobiledet_converters.tflite.quantize import quantize, use_uint8_input
from mobiledet_converters.tflite.ranges import Ranges, measure_ranges
from mobiledet_converters.wrapper import ChannelsLastGraph


def convert(job: ConversionJob) -> Sequence[ConvertedFile]:
    """Write ``model.PRECISION.tflite`` for each precision; the network is converted once.

    Raises:
        UserError: the checkpoint cannot be read, or a written file is malformed.
    """
    detector, spec = job.load()
    image = torch.zeros(1, spec.input.height, spec.input.width, 3)
    ending = choose_ending(job.postprocess, detector, spec)
    network = apply_passes("tflite", ending.graph.eval(), image.permute(0, 3, 1, 2), job.announce)
    graph = ChannelsLastGraph(network, spec.input.width).eval()
    job.announce("lowering the network")
    converted = job.folder / "raw.float32.tflite"
    lower(graph, image, converted)
    shorten_names(converted)

    ranges: Ranges = {}
    for_integers = converted
    if job.calibration:
        images = job.calibration_images()
        if has_leaky_relu(converted):
            for_integers = job.folder / "equalized.float32.tflite"
            equalize(converted, for_integers, images, lambda done: job.announce(f"equalising channels, image {done}"))
        ranges = measure_ranges(
            for_integers, images, lambda done: job.announce(f"calibrating, image {done} of {len(images)}")
        )
    convolutions = sum(isinstance(module, nn.Conv2d) for module in detector.modules())
    files = []
    for precision in job.precisions:
        job.announce(f"writing {precision}")
        raw = converted
        if precision != "float32":
            raw = job.folder / f"raw.{precision}.tflite"
            has_uint8_input = precision == "int8" and job.int8_input == "uint8"
            if needs_calibration("tflite", precision):
                quantize(precision, for_integers, raw, ranges, early_float=not has_uint8_input)
            else:
                quantize(precision, converted, raw, {})
            if has_uint8_input:
                use_uint8_input(raw)
        name = f"model.{precision}.tflite"
        structure = ending.finish(raw, job.folder / name, convolutions)
        files.append(ConvertedFile(name, precision, asdict(structure)))
    return files


if __name__ == "__main__":
    serve(convert)
