"""Throughput of a training step (forward, loss, backward, optimiser) of Faster R-CNN: mobiledet against torchvision's
fasterrcnn_mobilenet_v3_large_320_fpn.

Both train the same network with the same numbers of anchors, proposals and samples, on the same random pictures and
boxes; torchvision's brings its own transform, mobiledet the settings of `mobiledet train`, as their users get them.
Each has a process of its own; they take turns within one run.

    python benchmarks/faster_rcnn_step.py --batch-size 8 --threads 2
"""

import argparse
import os
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_large
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn
from torchvision.models.feature_extraction import create_feature_extractor
from turns import Step, Trained, print_training, take_turns

from mobiledet.backbones import Backbone, FeatureInfo
from mobiledet.detectors import Targets, build_detector
from mobiledet.ops.anchors import aspect_ratio_anchor_sizes
from mobiledet.training.allocator import keep_freed_memory
from mobiledet.zoo.catalogue import FASTER_RCNN_320

SIDE = 320
CLASSES = 80
PARAMETERS = 19_355_404  # of mobiledet's network
BACKGROUNDS_BOX = 4 * (1024 + 1)  # torchvision predicts one and never uses it
BOXES = 7  # of an image; COCO's mean


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


def check_size(model: nn.Module, expected: int) -> None:
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == expected, f"{count} parameters instead of {expected}"


def torchvision_network(size: int, device: str = "cpu") -> Trained:
    """With torchvision's transform."""
    images, targets = batch(size)
    model = fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None, num_classes=CLASSES + 1).train()
    model = model.to(device)
    check_size(model, PARAMETERS + BACKGROUNDS_BOX)
    pictures = list(images.to(device))
    listed = [{"boxes": b.to(device), "labels": c.to(device) + 1} for b, c in zip(*targets, strict=True)]
    return Trained(model, lambda: model(pictures, listed))


def mobiledet_network(size: int, device: str = "cpu") -> Trained:
    """The same network as `mobiledet train` builds it."""
    images, targets = batch(size)
    scales = [[side / SIDE for side in (32, 64, 128, 256, 512)]] * 3
    anchors = aspect_ratio_anchor_sizes(scales, (0.5, 1.0, 2.0), (SIDE, SIDE))
    options = FASTER_RCNN_320.changed(anchors=anchors)
    detector = build_detector("faster_rcnn_fpn", SameBody(), CLASSES, (SIDE, SIDE), options)
    model = detector.to(device).to(memory_format=torch.channels_last)
    check_size(model, PARAMETERS)
    pictures = images.to(device).contiguous(memory_format=torch.channels_last)  # as the loader gives them
    boxes = Targets(targets.boxes_xyxy.to(device), targets.labels.to(device))
    return Trained(model, lambda: model(pictures, boxes))


def torchvision_step(size: int) -> Step:
    return torchvision_network(size).step(fused=False)


def mobiledet_step(size: int) -> Step:
    keep_freed_memory()
    return mobiledet_network(size).step(fused=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--steps", type=int, default=5, help="number of timed steps of each side, after three untimed ones"
    )
    arguments = parser.parse_args()

    size = arguments.batch_size
    peers = {"torchvision": partial(torchvision_step, size), "mobiledet": partial(mobiledet_step, size)}
    print(
        f"fasterrcnn_mobilenet_v3_large_320_fpn, {SIDE} pixels, batch {size}, {arguments.threads} threads, "
        f"torch {torch.__version__}"
    )
    print_training(take_turns(peers, arguments.steps, arguments.threads), size)


if __name__ == "__main__":
    main()
