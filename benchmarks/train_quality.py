"""mAP after the same number of images: mobiledet's detectors against torchvision's of the same backbone.

Both see the same augmented pictures of the built-in shapes in the same order and batches, from random weights, at 320
pixels. Each has its own anchors, loss, optimiser and learning rate: torchvision those of its reference training,
scaled linearly to the batch, mobiledet its own. Both are scored by COCO's mAP on the same validation images.

    python benchmarks/train_quality.py --detector ssdlite --images 2000 --epochs 5
    python benchmarks/train_quality.py --detector faster_rcnn_fpn --images 2000 --epochs 5
"""

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.progress import track
from torch import nn
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn, ssdlite320_mobilenet_v3_large

from mobiledet.data.dataset import DetectionSet
from mobiledet.data.loader import build_loader
from mobiledet.data.read import load_split
from mobiledet.data.shapes import shapes_folder
from mobiledet.data.transforms import Augmentation, train_transform
from mobiledet.detections import Detections
from mobiledet.metrics.coco import CocoEvaluator
from mobiledet.spec import InputSpec
from mobiledet.training.allocator import keep_freed_memory
from mobiledet.training.config import TrainConfig
from mobiledet.training.engine import train

SIDE = 320
WARM_UP = 300  # steps, at most a tenth of the run; the same for both


class Peer(NamedTuple):
    """A torchvision detector and its reference training.

    Attributes:
        build: called with the number of classes, background included.
        lr: of SGD with momentum 0.9.
        batch: that ``lr`` is meant for.
        weight_decay: of all weights.
        backbone: the same one here.
        own_lr: mobiledet's, of AdamW.
    """

    build: Callable[..., nn.Module]
    lr: float
    batch: int
    weight_decay: float
    backbone: str
    own_lr: float


PEERS = {
    "ssdlite": Peer(
        ssdlite320_mobilenet_v3_large, 0.15, 192, 4e-5, "torchvision:mobilenet_v3_large-reduced_tail", TrainConfig.lr
    ),
    "faster_rcnn_fpn": Peer(
        partial(fasterrcnn_mobilenet_v3_large_320_fpn, trainable_backbone_layers=6, min_size=SIDE, max_size=SIDE),
        0.02,
        16,
        1e-4,
        "torchvision:mobilenet_v3_large",
        2 * TrainConfig.lr,
    ),
}


def train_torchvision(peer: Peer, folder: Path, epochs: int, batch_size: int, side: int = SIDE, seed: int = 0) -> Any:
    """The trained network, in evaluation mode."""
    train_set = load_split(str(folder), "train")
    model: Any = peer.build(weights=None, weights_backbone=None, num_classes=len(train_set.labels) + 1)
    model.transform.min_size, model.transform.max_size = (side,), side
    if model.transform.fixed_size:
        model.transform.fixed_size = side, side
    highest = peer.lr * batch_size / peer.batch
    optimizer = torch.optim.SGD(model.parameters(), lr=highest, momentum=0.9, weight_decay=peer.weight_decay)
    loader = build_loader(
        train_set,
        batch_size,
        transform=train_transform(InputSpec(side, side), Augmentation()),
        spec=InputSpec(side, side),
        shuffle=True,
        workers=0,
        seed=seed,
        drop_last=True,
    )
    steps = len(loader) * epochs
    warm_up = min(WARM_UP, max(1, steps // 10))
    step = 0
    for epoch in range(epochs):
        loader.set_epoch(epoch)
        model.train()
        for batch in track(loader, f"torchvision, epoch {epoch + 1} of {epochs}", len(loader)):
            share = min(1, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * step / steps))
            for group in optimizer.param_groups:
                group["lr"] = highest * share
            targets = [
                {"boxes": boxes[labels >= 0], "labels": labels[labels >= 0] + 1}
                for boxes, labels in zip(batch.boxes, batch.labels, strict=True)
            ]
            optimizer.zero_grad()
            sum(model(list(batch.images.float() / 255), targets).values()).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), TrainConfig.clip_norm)
            optimizer.step()
            step += 1
    return model.eval()


def train_and_score(peer: Peer, folder: Path, arguments: argparse.Namespace) -> float:
    """Train and score torchvision's detector; returns the mAP."""
    model = train_torchvision(peer, folder, arguments.epochs, arguments.batch_size)
    return score(model, load_split(str(folder), "val"), arguments.batch_size)


@torch.inference_mode()
def score(model: nn.Module, val_set: DetectionSet, batch_size: int) -> float:
    evaluator = CocoEvaluator(val_set.labels, val_set.truth())
    loader = build_loader(val_set, batch_size, transform=None, spec=InputSpec(SIDE, SIDE), shuffle=False, workers=0)
    for batch in track(loader, "torchvision, validation", len(loader)):
        found = model(list(batch.images.float() / 255))
        for index, (height, width), found_there in zip(
            batch.indices.tolist(), batch.original_sizes.tolist(), found, strict=True
        ):
            boxes = found_there["boxes"] * torch.tensor([width, height, width, height]) / SIDE
            detections = Detections(boxes.numpy(), found_there["scores"].numpy(), found_there["labels"].numpy() - 1)
            evaluator.add(val_set.images[index].id, detections)
    return evaluator.score().AP


def train_mobiledet(peer: Peer, folder: Path, out: Path, arguments: argparse.Namespace) -> float:
    """Train and score mobiledet's detector; returns the mAP."""
    config = TrainConfig(
        data=str(folder),
        backbone=peer.backbone,
        detector=arguments.detector,
        image_size=SIDE,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        lr=arguments.lr or peer.own_lr,
        warmup_steps=WARM_UP,
        ema_decay=arguments.ema_decay,
        eval_every=arguments.epochs,
        workers=0,
        accelerator="cpu",
        out=out,
    )
    return train(config, quiet=False).metrics.AP


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", choices=PEERS, default="ssdlite")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--lr", type=float, help="learning rate of mobiledet; torchvision has its own")
    parser.add_argument(
        "--ema-decay",
        type=float,
        default=0.998,
        help="decay of mobiledet's moving average of weights; short runs need a lower one",
    )
    parser.add_argument(
        "--only", choices=("torchvision", "mobiledet"), help="train only one of the two, to compare later"
    )
    arguments = parser.parse_args()

    peer = PEERS[arguments.detector]
    folder = shapes_folder(arguments.images, 200)
    print(f"{arguments.detector} on {peer.backbone}: {arguments.images} images, {arguments.epochs} epochs")
    results = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, run in (
            ("torchvision", partial(train_and_score, peer, folder, arguments)),
            ("mobiledet", partial(train_mobiledet, peer, folder, Path(scratch) / "run", arguments)),
        ):
            if arguments.only not in (None, name):
                continue
            if name == "mobiledet":
                keep_freed_memory()
            torch.manual_seed(0)
            begun = time.monotonic()
            results[name] = run()
            print(f"{name:>12}: mAP {results[name]:.4f} after {time.monotonic() - begun:.0f} s")
    if not arguments.only:
        print(f"mobiledet is {results['mobiledet'] - results['torchvision']:+.4f} mAP from torchvision")


if __name__ == "__main__":
    main()
