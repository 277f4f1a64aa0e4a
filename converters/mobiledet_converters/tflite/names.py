"""Shortens tensor names: the class names in them take a quarter of a small file."""

import re
from collections import Counter
from pathlib import Path

from ai_edge_litert.tools.flatbuffer_utils import read_model, write_model

OUTERMOST = b"graph"  # path of tensors that belong to no submodule
# one step of a module path: package.module.Class, then the attribute that holds it (none for the outermost)
STEP = re.compile(rb"[\w.]+\.[A-Za-z0-9]+(?:_(\w+))?")


def shorten_names(path: Path) -> None:
    """Rename the tensors of a .tflite file from paths of classes to paths of attributes, in place.

    ``mobiledet.detectors.dense.DenseDetector_detector/torch.nn.modules.conv.Conv2d_0;1`` becomes ``detector/0;0``, the
    number counting the tensors of the path. The names of those in the post-processing contain ``post_process``.
    """
    model = read_model(path)
    seen: Counter[bytes] = Counter()
    for tensor in model.subgraphs[0].tensors:
        if STEP.fullmatch(tensor.name.partition(b";")[0].partition(b"/")[0]) and not tensor.name.startswith(b"arith."):
            attributes = attribute_path(tensor.name) or OUTERMOST
            tensor.name = b"%b;%d" % (attributes, seen[attributes])
            seen[attributes] += 1
    write_model(model, path)


def attribute_path(name: bytes) -> bytes:
    """The attributes in a module path; for a tensor that was merged from several, those of the first one."""
    steps = [STEP.fullmatch(step) for step in name.partition(b";")[0].split(b"/")]
    return b"/".join(step.group(1) for step in steps if step and step.group(1))
