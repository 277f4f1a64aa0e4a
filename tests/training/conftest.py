from collections.abc import Callable
from pathlib import Path

import pytest

from mobiledet.data.shapes import write_shapes
from mobiledet.training.config import TrainConfig
from mobiledet.training.engine import TrainResult, train


@pytest.fixture(scope="session")
def tiny_shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 training and 8 validation images in COCO's layout."""
    folder = tmp_path_factory.mktemp("data") / "shapes"
    write_shapes(folder, train=24, val=8, seed=0, workers=1)
    return folder


@pytest.fixture(scope="session")
def settings(tiny_shapes: Path) -> Callable[[Path], TrainConfig]:
    """Settings of a run of three epochs, three steps each, into the given folder."""

    def make(out: Path) -> TrainConfig:
        return TrainConfig(
            data=str(tiny_shapes),
            backbone="shufflenet_v2_0.5x",
            image_size=64,
            epochs=3,
            batch_size=8,
            ema_decay=0.9,
            workers=0,
            accelerator="cpu",
            out=out,
        )

    return make


@pytest.fixture(scope="session")
def trained(settings: Callable[[Path], TrainConfig], tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """That run, done."""
    return train(settings(tmp_path_factory.mktemp("runs") / "run"))
