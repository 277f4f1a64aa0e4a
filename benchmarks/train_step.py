"""Throughput of a training step (forward, loss, backward, optimiser): mobiledet against torchvision.

Both train the network of torchvision's ssdlite320_mobilenet_v3_large on the same random pictures and boxes;
torchvision brings its own transform, matcher and loss, mobiledet the settings of `mobiledet train`, as their users get
them. Each has a process of its own; they take turns within one run.

    python benchmarks/train_step.py --batch-size 8 --threads 2
"""

import argparse
import os
from functools import partial

import torch
from torch import nn
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from turns import Step, Trained, print_training, take_turns

from mobiledet.backbones import build_backbone
from mobiledet.detectors import Targets, build_detector
from mobiledet.detectors.ssdlite import ssdlite_norm
from mobiledet.ops.images import normalize
from mobiledet.spec import InputSpec
from mobiledet.training.allocator import keep_freed_memory

SIDE = 320
CLASSES = 90
PARAMETERS = 3_440_060  # of both networks
BOXES = 7  # of an image; COCO's mean


def pictures_and_boxes(batch: int) -> tuple[torch.Tensor, Targets]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (batch, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    corner = torch.rand(batch, BOXES, 2, generator=generator) * SIDE * 0.6
    far = corner + SIDE * (0.05 + 0.3 * torch.rand(batch, BOXES, 2, generator=generator))
    labels = torch.randint(0, CLASSES, (batch, BOXES), generator=generator)
    return images, Targets(torch.cat((corner, far), dim=-1), labels)


def check_size(model: nn.Module) -> None:
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == PARAMETERS, f"{count} parameters instead of {PARAMETERS}"


def torchvision_network(batch: int, device: str = "cpu") -> Trained:
    """With torchvision's transform."""
    images, targets = pictures_and_boxes(batch)
    model = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=CLASSES + 1).to(device)
    check_size(model)
    pictures = list(images.to(device).float() / 255)
    listed = [{"boxes": b.to(device), "labels": c.to(device) + 1} for b, c in zip(*targets, strict=True)]
    return Trained(model, lambda: model(pictures, listed))


def mobiledet_network(batch: int, device: str = "cpu") -> Trained:
    """As `mobiledet train` builds it, with its normalisation."""
    images, targets = pictures_and_boxes(batch)
    backbone = build_backbone("torchvision:mobilenet_v3_large-reduced_tail", norm_layer=ssdlite_norm)
    detector = build_detector("ssdlite", backbone, CLASSES, (SIDE, SIDE))
    model = detector.to(device).to(memory_format=torch.channels_last)
    check_size(model)
    spec = InputSpec(SIDE, SIDE)
    pictures = images.to(device).contiguous(memory_format=torch.channels_last)  # as the loader gives them
    boxes = Targets(targets.boxes_xyxy.to(device), targets.labels.to(device))
    return Trained(model, lambda: model(normalize(pictures, spec), boxes))


def torchvision_step(batch: int) -> Step:
    return torchvision_network(batch).step(fused=False)


def mobiledet_step(batch: int) -> Step:
    keep_freed_memory()
    return mobiledet_network(batch).step(fused=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--steps", type=int, default=15, help="number of timed steps of each side, after three untimed ones"
    )
    arguments = parser.parse_args()

    batch = arguments.batch_size
    peers = {"torchvision": partial(torchvision_step, batch), "mobiledet": partial(mobiledet_step, batch)}
    print(
        f"ssdlite320_mobilenet_v3_large, {SIDE} pixels, batch {batch}, {arguments.threads} threads, "
        f"torch {torch.__version__}"
    )
    measured = take_turns(peers, arguments.steps, arguments.threads)
    print_training(measured, batch)


if __name__ == "__main__":
    main()
