"""The batch size for ``--batch-size auto``."""

import dataclasses

from mobiledet.training.config import TrainConfig
from mobiledet.training.setup import load_data, prepare_data

SIZES = (8, 16, 32)
MIN_STEPS = 32  # steps an epoch


def choose_batch_size(config: TrainConfig) -> tuple[TrainConfig, str]:
    """Resolve ``--batch-size auto``: 32 images, or half or a quarter of it where an epoch would have fewer than
    ``MIN_STEPS`` steps.

    Small sets are learned from few images, and in the same time smaller batches take more steps. That every process has
    two images at least, as batch normalisation needs, comes first.

    Returns:
        the settings with a number of images, and a line to print about it, possibly empty.

    Raises:
        UserError: the data cannot be read.
    """
    if config.batch_size != "auto":
        return config, ""
    prepare_data(config)
    images = len(load_data(config)[0].images)
    shares = config.nodes * config.accumulate * (1 if config.devices == "auto" else config.devices)
    size = max((size for size in SIZES if size * MIN_STEPS <= images), default=min(SIZES[0], images))
    size = max(size // shares, 2) * shares
    return dataclasses.replace(config, batch_size=size), f"--batch-size auto: {size}, for {images} training images"
