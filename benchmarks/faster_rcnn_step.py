"""Images a second of one training step (forward, loss, backward, optimiser) of Faster R-CNN: mobiledet against
torchvision's fasterrcnn_mobilenet_v3_large_320_fpn.

Both train the same network with the same numbers of anchors, proposals and samples, on the same random pictures and
boxes; torchvision's brings its own transform, as its users get it. The two take turns within one run, so that the
machine's moods hit both. For peak memory each trains in a process of its own.

    python benchmarks/faster_rcnn_step.py --batch-size 8 --steps 5
"""

import argparse
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_large
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn
from torchvision.models.feature_extraction import create_feature_extractor

from mobiledet.backbones import Backbone, FeatureInfo
from mobiledet.detectors import Targets, build_detector
from mobiledet.detectors.faster_rcnn import TORCHVISION_320_OPTIONS
from mobiledet.ops.anchors import aspect_ratio_anchor_sizes

SIDE = 320
CLASSES = 80
BOXES = 7  # of an image; COCO's mean
WARM_UP = 2
Step = Callable[[], None]


class SameBody(Backbone):
    """The two maps of torchvision's MobileNetV3 that its pyramid takes."""

    feature_info = (FeatureInfo("features.13", 160, 32), FeatureInfo("features.16", 960, 32))

    def __init__(self) -> None:
        super().__init__()
        network = mobilenet_v3_large(weights=None, norm_layer=nn.BatchNorm2d)
        self.body = create_feature_extractor(network, [info.name for info in self.feature_info])

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.body(images).values())


def batch(size: int) -> tuple[Tensor, Targets]:
    torch.manual_seed(0)
    corner = torch.rand(size, BOXES, 2) * SIDE * 0.6
    boxes = torch.cat((corner, corner + SIDE * (0.05 + 0.3 * torch.rand(size, BOXES, 2))), dim=-1)
    return torch.randn(size, 3, SIDE, SIDE), Targets(boxes, torch.randint(0, CLASSES, (size, BOXES)))


def torchvision_step(images: Tensor, targets: Targets) -> tuple[nn.Module, Step]:
    model = fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None, num_classes=CLASSES + 1).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    listed = [{"boxes": b, "labels": c + 1} for b, c in zip(*targets, strict=True)]

    def step() -> None:
        optimizer.zero_grad()
        sum(model(list(images), listed).values()).backward()
        optimizer.step()

    return model, step


def mobiledet_step(images: Tensor, targets: Targets) -> tuple[nn.Module, Step]:
    scales = [[side / SIDE for side in (32, 64, 128, 256, 512)]] * 3
    anchors = aspect_ratio_anchor_sizes(scales, (0.5, 1.0, 2.0), (SIDE, SIDE))
    model = build_detector(
        "faster_rcnn_fpn", SameBody(), CLASSES, (SIDE, SIDE), anchors=anchors, **TORCHVISION_320_OPTIONS
    ).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    pictures = images.contiguous(memory_format=torch.channels_last)  # as the loader gives them

    def step() -> None:
        optimizer.zero_grad()
        torch.stack(list(model(pictures, targets).values())).sum().backward()
        optimizer.step()

    return model, step


PEERS = {"torchvision": torchvision_step, "mobiledet": mobiledet_step}


def peak_memory_mb(name: str, size: int) -> float:
    """Of a process that makes two steps."""
    _, step = PEERS[name](*batch(size))
    step()
    step()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform == "linux" else 1024**2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=5, help="timed steps of each, after two that are not")
    arguments = parser.parse_args()

    size = arguments.batch_size
    # first of all: a process starts with the peak of the one that it comes from
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        memory = dict(zip(PEERS, pool.starmap(peak_memory_mb, [(n, size) for n in PEERS], chunksize=1), strict=True))
    images, targets = batch(size)
    peers = {name: make(images, targets) for name, make in PEERS.items()}
    backgrounds_box = 4 * (1024 + 1)  # torchvision predicts one and never uses it
    counts = {name: sum(p.numel() for p in model.parameters()) for name, (model, _) in peers.items()}
    assert counts["torchvision"] == counts["mobiledet"] + backgrounds_box, f"the networks differ: {counts}"
    seconds: dict[str, list[float]] = {name: [] for name in peers}
    for turn in range(arguments.steps + WARM_UP):
        for name, (_, step) in peers.items():
            begun = time.perf_counter()
            step()
            if turn >= WARM_UP:
                seconds[name].append(time.perf_counter() - begun)
    print(f"{SIDE} pixels, batch {size}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    medians = {name: statistics.median(samples) for name, samples in seconds.items()}
    for name, median in medians.items():
        print(
            f"{name:>12}: {median:6.2f} s a step, {size / median:5.1f} images/s, "
            f"peak memory of a process {memory[name]:.0f} MB"
        )
    print(f"mobiledet trains {medians['torchvision'] / medians['mobiledet']:.2f} times as many images a second")


if __name__ == "__main__":
    main()
