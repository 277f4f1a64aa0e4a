from pathlib import Path

import numpy as np
import pytest
import torch

from mobiledet.checkpoint import load_detector
from mobiledet.data.loader import build_loader
from mobiledet.data.read import load_split
from mobiledet.metrics.coco import NUMBERS, SCORERS
from mobiledet.training.engine import TrainResult
from mobiledet.training.validation import validate


def test_all_scorers_give_the_same_numbers(trained: TrainResult, tiny_shapes: Path) -> None:
    detector, spec = load_detector(trained.best)
    dataset = load_split(tiny_shapes, "val")
    loader = build_loader(dataset, 8, transform=None, spec=spec.input, shuffle=False, workers=0)
    fast, *others = (validate(detector, spec, dataset, loader, torch.device("cpu"), scorer) for scorer in SCORERS)
    assert fast.metrics.AR100 > 0
    for slow in others:
        for name in NUMBERS:
            assert getattr(fast.metrics, name) == pytest.approx(getattr(slow.metrics, name), abs=1e-12)
        np.testing.assert_allclose(fast.curves.precision, slow.curves.precision, atol=1e-12)
        assert fast.curves.objects == slow.curves.objects
    assert set(fast.detections) == {image.id for image in dataset.images}
