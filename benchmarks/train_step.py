"""Images a second of one training step (forward, loss, backward, optimiser): mobiledet against torchvision's SSD class.

Both train the same ShuffleNetV2 backbone, extra levels, SSDLite prediction layers and anchors on the same random
pictures and boxes; torchvision's SSD brings its own transform, matcher and loss, as its users get them. The two take
turns within one run, so that the machine's moods hit both.

    python benchmarks/train_step.py --width 0.5x --image-size 320 --batch-size 8
"""

import argparse
import statistics
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteHead

from mobiledet.backbones import build_backbone
from mobiledet.detectors import Targets
from mobiledet.detectors.ssdlite import EXTRA_CHANNELS, ExtraLevels, ssdlite
from mobiledet.ops.images import normalize
from mobiledet.spec import IMAGENET_MEAN, IMAGENET_STD, InputSpec

CLASSES = 80
BOXES = 7  # of an image; COCO's mean
Step = Callable[[], None]


class TorchvisionLevels(nn.Module):
    """Backbone and extra levels in the form that torchvision's SSD takes."""

    def __init__(self, key: str, norm_layer: Callable[[int], nn.Module]) -> None:
        super().__init__()
        self.backbone = build_backbone(key)
        self.levels = ExtraLevels(self.backbone.feature_info, norm_layer)

    def forward(self, images: Tensor) -> "OrderedDict[str, Tensor]":
        return OrderedDict((str(i), level) for i, level in enumerate(self.levels(self.backbone(images))))


def torchvision_step(key: str, side: int, images: Tensor, targets: Targets) -> tuple[nn.Module, Step]:
    norm_layer = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.03)
    backbone = TorchvisionLevels(key, norm_layer)
    channels = [info.channels for info in backbone.backbone.feature_info[-2:]] + list(EXTRA_CHANNELS)
    generator = DefaultBoxGenerator([[2, 3]] * 6, min_ratio=0.2, max_ratio=0.95)
    head = SSDLiteHead(channels, generator.num_anchors_per_location(), CLASSES + 1, norm_layer)
    mean, std = [v / 255 for v in IMAGENET_MEAN], [v / 255 for v in IMAGENET_STD]
    model = SSD(backbone, generator, (side, side), CLASSES + 1, image_mean=mean, image_std=std, head=head)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    pictures = list(images.float() / 255)
    listed = [{"boxes": b, "labels": c + 1} for b, c in zip(*targets, strict=True)]

    def step() -> None:
        optimizer.zero_grad()
        sum(model(pictures, listed).values()).backward()
        optimizer.step()

    return model, step


def mobiledet_step(key: str, side: int, images: Tensor, targets: Targets) -> tuple[nn.Module, Step]:
    model = ssdlite(build_backbone(key), CLASSES, (side, side)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    spec = InputSpec(side, side)
    batch = images.contiguous(memory_format=torch.channels_last)  # as the loader gives it

    def step() -> None:
        optimizer.zero_grad()
        losses = model(normalize(batch, spec), targets)
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()

    return model, step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", default="0.5x", help="of ShuffleNetV2: 0.5x, 1x, 1.5x, 2x")
    parser.add_argument("--image-size", type=int, default=320)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--steps", type=int, default=15, help="timed steps of each, after three that are not")
    arguments = parser.parse_args()

    torch.manual_seed(0)
    side, batch = arguments.image_size, arguments.batch_size
    images = torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8)
    corner = torch.rand(batch, BOXES, 2) * side * 0.6
    boxes = torch.cat((corner, corner + side * (0.05 + 0.3 * torch.rand(batch, BOXES, 2))), dim=-1)
    targets = Targets(boxes, torch.randint(0, CLASSES, (batch, BOXES)))
    key = f"shufflenet_v2_{arguments.width}"
    peers = {
        "torchvision SSD": torchvision_step(key, side, images, targets),
        "mobiledet ssdlite": mobiledet_step(key, side, images, targets),
    }
    counts = {name: sum(p.numel() for p in model.parameters()) for name, (model, _) in peers.items()}
    assert len(set(counts.values())) == 1, f"the networks differ: {counts}"
    seconds: dict[str, list[float]] = {name: [] for name in peers}
    for turn in range(arguments.steps + 3):
        for name, (_, step) in peers.items():
            begun = time.perf_counter()
            step()
            if turn >= 3:
                seconds[name].append(time.perf_counter() - begun)
    print(f"{key}, {side} pixels, batch {batch}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    medians = {name: statistics.median(samples) for name, samples in seconds.items()}
    for name, median in medians.items():
        print(f"{name:>18}: {median * 1000:7.1f} ms a step, {batch / median:6.1f} images/s")
    slow, fast = medians["torchvision SSD"], medians["mobiledet ssdlite"]
    print(f"mobiledet trains {slow / fast:.2f} times as many images a second")


if __name__ == "__main__":
    main()
