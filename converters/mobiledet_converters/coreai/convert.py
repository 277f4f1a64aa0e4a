"""Converts a checkpoint to Core AI assets. Run as a process of its own: ``python -m mobiledet_converters.coreai.convert
JOB``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mobiledet.spec import OUTPUTS
from mobiledet_converters.coreai.describe import metadata
from mobiledet_converters.coreai.framework import load_coreai_torch
from mobiledet_converters.coreai.lowering import lower
from mobiledet_converters.coreai.read import read_asset
from mobiledet_converters.coreai.validate import validate
from mobiledet_converters.job import ConversionJob, ConvertedFile, serve
from mobiledet_converters.passes import apply_passes
from mobiledet_converters.wrapper import DetectionGraph


def convert(job: ConversionJob) -> Sequence[ConvertedFile]:
    """Write an asset for each precision.

    Raises:
        UserError: the checkpoint cannot be read, Core AI does not support an operation, or a written asset is
            malformed.
    """
    job.announce("loading coreai-torch")
    load_coreai_torch()
    detector, spec = job.load()
    size = (spec.input.height, spec.input.width)
    convolutions = sum(isinstance(module, nn.Conv2d) for module in detector.modules())
    graph: Any = DetectionGraph(detector, spec).eval()
    graph = apply_passes("coreai", graph, torch.zeros(1, 3, *size), job.announce)
    files = []
    for precision in job.precisions:
        job.announce(f"lowering the network to {precision}")
        lowered = lower(graph, size, tuple(OUTPUTS), precision)
        name = asset_name(precision)
        lowered.program.save_asset(Path(job.folder / name), metadata=metadata(spec, precision))
        job.announce(f"checking {name}")
        operations = validate(read_asset(job.folder / name), spec, convolutions)
        files.append(ConvertedFile(name, precision, {"operations": operations, **lowered.structure}))
    return files


def asset_name(precision: str) -> str:
    """The name of the asset of a precision."""
    return f"model.{precision}.aimodel"


if __name__ == "__main__":
    serve(convert)
