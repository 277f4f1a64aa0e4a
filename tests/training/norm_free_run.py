"""Trains without batch normalisation, so that a batch divided among processes or parts is the same batch; writes down
what each step was given and what it gave. Run by test_scale_out.py, also under torchrun.

usage: norm_free_run.py RECORD OPTION...
"""

import json
import os
import sys
from typing import Any

import torch
import tyro
from torch import nn

from mobiledet.detectors import Detector, detector_from_spec
from mobiledet.spec import ModelSpec
from mobiledet.training import engine, prepare
from mobiledet.training.config import TrainConfig


def norm_free(module: nn.Module) -> nn.Module:
    """Each image is normalised by itself."""
    for name, child in module.named_children():
        is_batch_norm = isinstance(child, nn.BatchNorm2d)
        setattr(module, name, nn.GroupNorm(1, child.num_features) if is_batch_norm else norm_free(child))
    return module


def build(spec: ModelSpec) -> Detector:
    detector = norm_free(detector_from_spec(spec))
    # statistics that stay as they are: the engine keeps those of a model in step
    detector.add_module("unused_norm", nn.BatchNorm2d(1, affine=False))
    assert isinstance(detector, Detector)
    return detector


def main(record: str, options: list[str]) -> None:
    steps: list[dict[str, Any]] = []
    original = engine.train_step

    def noted(*arguments: Any) -> dict[str, torch.Tensor]:
        losses = original(*arguments)
        images = [image_id for part in arguments[3] for image_id in part.indices.tolist()]
        steps.append({"images": images, "losses": {name: float(loss) for name, loss in losses.items()}})
        return losses

    engine.train_step = noted
    prepare.detector_from_spec = build
    result = engine.train(tyro.cli(TrainConfig, args=options))
    rank = os.environ.get("RANK", "0")
    with open(f"{record}.{rank}.json", "w", encoding="utf-8") as file:
        json.dump({"steps": steps, "AP": result.metrics.AP, "folder": str(result.folder)}, file)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
