"""NanoDet-Plus-m as we export it against the authors' network converted by litert-torch as it is.

320 pixels, 80 classes, random weights. Ours includes decoding and suppression; theirs returns raw outputs. The
target on one thread is at most 0.90 of the time of the plain conversion.

    git clone https://github.com/RangiLyu/nanodet
    python benchmarks/nanodet_vs_authors.py nanodet --rounds 200

Packages that only their training needs (lightning and others) are replaced by empty doubles where they are missing.
"""

import argparse
import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import torch
from tflite import COCO, SIDE, compare, converted, exported, folder_of
from torch import fx, nn

from mobiledet.options import NanoDetPlusOptions
from mobiledet_converters.tflite.network import Network

TRAINING_PACKAGES = (
    "cv2",
    "imagesize",
    "matplotlib",
    "pycocotools",
    "pytorch_lightning",
    "pytorch_lightning.callbacks",
    "pytorch_lightning.callbacks.progress",
    "pytorch_lightning.loggers",
    "pytorch_lightning.loggers.base",
    "pytorch_lightning.utilities",
    "tabulate",
    "termcolor",
    "yacs",
    "yacs.config",
)
CHANNELS = (116, 232, 464)  # of ShuffleNetV2 1x
WIDTH = 96
LOSSES = {"loss_qfl": {"beta": 2.0, "loss_weight": 1.0}, "loss_dfl": {"loss_weight": 0.25}}


def authors_network(checkout: Path) -> nn.Module:
    """Their backbone, neck and head by config/nanodet-plus-m_320.yml, as a graph that can be pickled without their
    code."""
    sys.path.insert(0, str(checkout))
    for package in TRAINING_PACKAGES:
        try:
            importlib.import_module(package)
        except ImportError:
            sys.modules[package] = MagicMock()
    model: Any = importlib.import_module("nanodet.model.backbone.shufflenetv2")
    backbone = model.ShuffleNetV2("1.0x", (2, 3, 4), activation="LeakyReLU", pretrain=False)
    model = importlib.import_module("nanodet.model.fpn.ghost_pan")
    neck = model.GhostPAN(list(CHANNELS), WIDTH, use_depthwise=True, num_extra_level=1)
    model = importlib.import_module("nanodet.model.head.nanodet_plus_head")
    losses = {**LOSSES, "loss_bbox": {"loss_weight": 2.0}}
    head = model.NanoDetPlusHead(
        len(COCO),
        SimpleNamespace(**{name: SimpleNamespace(**values) for name, values in losses.items()}),
        WIDTH,
        feat_channels=WIDTH,
        strides=[8, 16, 32, 64],
    )
    return fx.symbolic_trace(nn.Sequential(backbone, neck, head).eval())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path, help="folder of the authors' repository")
    parser.add_argument("--rounds", type=int, default=100, help="number of timed runs of each file")
    parser.add_argument("--keep", type=Path, help="folder in which the files are kept and looked for")
    parser.add_argument("--relu", action="store_true", help="also measure our network with ReLU and ReLU6")
    options = parser.parse_args()
    torch.manual_seed(0)
    with folder_of(options.keep) as folder:
        files = converted({"plain": Network(authors_network(options.checkout), (3, SIDE, SIDE), False)}, folder)
        for activation in ("leaky_relu", *(("relu", "relu6") if options.relu else ())):
            own = folder / activation
            own.mkdir(exist_ok=True)
            ours = NanoDetPlusOptions().changed(activation=activation)
            settings: dict[str, Any] = {"backbone_options": {"activation": activation}, "detector_options": ours}
            files[f"mobiledet, {activation}"] = exported("shufflenet_v2_1x", "nanodet_plus", own, **settings)["graph"]
        compare(files, options.rounds)


if __name__ == "__main__":
    main()
