"""The number of training processes for ``--devices auto``, and a hint if devices are left unused."""

import dataclasses

import torch

from mobiledet.processes.cores import usable_cores
from mobiledet.training.config import TrainConfig

MIN_IMAGES = 8  # images per process and step: the fewest with useful statistics of batch normalisation


def choose_devices(config: TrainConfig) -> tuple[TrainConfig, str]:
    """Resolve ``--devices auto``.

    It uses all GPUs, or as many processes as there are CPU cores, because small networks use several processes far
    better than several threads: the largest number that divides the batch and leaves each at least eight images.

    Returns:
        the settings with a number of devices, and a line to print about it, possibly empty.
    """
    kind, available = _available(config)
    parts = max(1, config.nodes) * max(1, config.accumulate)
    fitting = [n for n in range(1, available + 1) if config.batch_images % (n * parts) == 0]
    count = max((n for n in fitting if config.batch_images // (n * parts) >= MIN_IMAGES), default=1)
    share = config.batch_images // (count * parts)
    each = f"each computes, and normalises by its own statistics, {share} images at a time"
    if config.devices == "auto":
        note = f"--devices auto: {count} of {available} {kind}"
        if count > 1:
            note += f"; {each}"
        elif available > 1:
            note += f": a batch of {config.batch_images} cannot be divided so that each has {MIN_IMAGES} images or more"
        return dataclasses.replace(config, devices=count), note
    if config.devices == 1 and count > 1:
        return config, f"one of {available} {kind} trains; --devices auto takes {count}: {each}"
    return config, ""


def _available(config: TrainConfig) -> tuple[str, int]:
    """The kind of device to train on, as text, and how many of them this machine has."""
    if config.accelerator in ("auto", "cuda") and torch.cuda.is_available():
        return "GPUs", torch.cuda.device_count()
    if config.accelerator == "mps" or (config.accelerator == "auto" and torch.backends.mps.is_available()):
        return "GPUs", 1
    return "CPU cores", usable_cores()
