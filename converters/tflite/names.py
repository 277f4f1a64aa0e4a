"""Tensor names without the classes in them: those take a quarter of a small file."""

import re
from pathlib import Path

from ai_edge_litert.tools.flatbuffer_utils import read_model, write_model

# one step of a module path: package.module.Class, then the attribute that holds it (none for the outermost)
STEP = re.compile(rb"[\w.]+\.[A-Za-z0-9]+(?:_(\w+))?")


def shorten_names(path: Path) -> None:
    """Rename the tensors of a .tflite file from paths of classes to paths of attributes, in place.

    ``mobiledet.detectors.dense.DenseDetector_detector/torch.nn.modules.conv.Conv2d_0;1`` becomes ``detector/0;1``.
    Operations of the post-processing can be told by ``post_process/``.
    """
    model = read_model(path)
    for tensor in model.subgraphs[0].tensors:
        tensor.name = shortened(tensor.name)
    write_model(model, path)


def shortened(name: bytes) -> bytes:
    """The new name; one without slashes is no path and stays."""
    if b"/" not in name:
        return name
    modules, separator, position = name.partition(b";")
    steps = [STEP.fullmatch(step) for step in modules.split(b"/")]
    attributes = [step.group(1) for step in steps if step and step.group(1)]
    return b"/".join(attributes) + separator + position
