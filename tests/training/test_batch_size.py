"""``--batch-size auto``."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mobiledet.training import batch_size
from mobiledet.training.batch_size import choose_batch_size
from mobiledet.training.config import TrainConfig


@pytest.mark.parametrize(
    ("images", "options", "chosen"),
    [
        (100_000, {}, 32),
        (1024, {}, 32),
        (1023, {}, 16),
        (511, {}, 8),
        (292, {}, 8),
        (20, {}, 8),
        (5, {}, 5),
        (1, {}, 2),  # refused afterwards, because there are fewer images
        (292, {"devices": 2}, 8),
        (292, {"devices": 8}, 16),  # batch normalisation needs two images in each process
        (292, {"accumulate": 3}, 6),
        (2000, {"devices": 4, "accumulate": 2}, 32),
        (2000, {"devices": "auto"}, 32),
    ],
)
def test_by_the_number_of_images(
    images: int, options: dict[str, Any], chosen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_set = SimpleNamespace(images=range(images))
    monkeypatch.setattr(batch_size, "load_data", lambda config: (train_set, train_set))
    config, note = choose_batch_size(TrainConfig(data="folder", **options))
    assert config.batch_images == chosen
    assert note == f"--batch-size auto: {chosen}, for {images} training images"


def test_a_number_stays_and_needs_no_data() -> None:
    config = TrainConfig(data=str(Path("missing")), batch_size=12)
    assert choose_batch_size(config) == (config, "")
