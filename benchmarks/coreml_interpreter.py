"""Compares the run time of the reference interpreter of Core ML packages with PyTorch, on the same networks.

    python benchmarks/coreml_interpreter.py

It says nothing about Core ML on a device, only how long checks and evaluations of packages take here. The target is at
most twice PyTorch's time.
"""

import argparse
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from turns import Step, take_turns

# name -> torchvision classifier, or backbone and detector of mobiledet; side of the image
NETWORKS = {
    "torchvision resnet18": ("resnet18", "", 224),
    "torchvision mobilenet_v3_large": ("mobilenet_v3_large", "", 224),
    "mobilenet_v2_1x ssdlite": ("mobilenet_v2_1x", "ssdlite", 320),
    "shufflenet_v2_1x faster_rcnn_fpn": ("shufflenet_v2_1x", "faster_rcnn_fpn", 320),
}


def build(name: str) -> nn.Module:
    """The network, with an input of 1 x 3 x side x side in 0..255 and random weights that depend only on the name."""
    network, detector, side = NETWORKS[name]
    torch.manual_seed(0)
    if not detector:
        import torchvision

        model: nn.Module = getattr(torchvision.models, network)()
        return model.eval()
    from mobiledet.backbones import build_backbone
    from mobiledet.detectors import build_detector
    from mobiledet.spec import InputSpec, ModelSpec
    from mobiledet_converters.passes import apply_passes
    from mobiledet_converters.wrapper import DetectionGraph

    labels = tuple(f"class {index}" for index in range(80))
    spec = ModelSpec(name, network, detector, InputSpec(side, side), labels, tuple(range(80)))
    graph = DetectionGraph(build_detector(detector, build_backbone(network), 80, (side, side)), spec).eval()
    return apply_passes("coreml", graph, torch.zeros(1, 3, side, side))


def write_package(name: str, path: Path) -> None:
    """Write the network as a float32 package."""
    from mobiledet.spec import OUTPUTS
    from mobiledet_converters.coreml.framework import load_coremltools
    from mobiledet_converters.coreml.lowering import lower

    _, detector, side = NETWORKS[name]
    outputs = tuple(OUTPUTS) if detector else ("logits",)
    lower(load_coremltools(), build(name), (side, side), outputs, 17, is_float16=False).model.save(str(path))


def pytorch(name: str) -> Step:
    graph, side = build(name), NETWORKS[name][2]
    image = torch.randint(0, 256, (1, 3, side, side)).float()

    @torch.inference_mode()
    def step() -> None:
        graph(image)

    return step


def interpreter(name: str, path: Path) -> Step:
    from mobiledet.mil.model import CoreMlModel

    model, side = CoreMlModel(path), NETWORKS[name][2]
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)

    def step() -> None:
        model.predict({"image": image})

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=15, help="number of timed runs of each side")
    parser.add_argument("--threads", type=int, default=1, help="number of CPU threads of each side")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for index, name in enumerate(NETWORKS):
            path = Path(folder) / f"{index}.mlpackage"
            write_package(name, path)
            peers: dict[str, Callable[[], Step]] = {
                "PyTorch": functools.partial(pytorch, name),
                "interpreter": functools.partial(interpreter, name, path),
            }
            measured = take_turns(peers, arguments.steps, arguments.threads)
            milliseconds = [measured[peer].step_s * 1000 for peer in peers]
            ratio = milliseconds[1] / milliseconds[0]
            print(
                f"{name:>34}: PyTorch {milliseconds[0]:6.1f} ms, interpreter {milliseconds[1]:6.1f} ms, "
                f"ratio {ratio:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
