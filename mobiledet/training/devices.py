"""How many processes train together where ``--devices auto`` leaves it open, and what one leaves unused."""

import dataclasses

import torch

from mobiledet.processes.cores import usable_cores
from mobiledet.training.config import TrainConfig

LEAST_IMAGES = 8  # of a step for each process: by so few and no fewer normalisation learns its statistics


def choose_devices(config: TrainConfig) -> tuple[TrainConfig, str]:
    """The settings with a number of devices, and a line about it, empty where there is nothing to say.

    On GPUs all are taken, on the CPU as many processes as cores: small networks use several processes far better than
    the threads of one. In both cases the largest number that divides the batch and leaves each at least eight images.
    """
    kind, there = _there(config)
    parts = max(1, config.nodes) * max(1, config.accumulate)
    fitting = [n for n in range(1, there + 1) if config.batch_size % (n * parts) == 0]
    count = max((n for n in fitting if config.batch_size // (n * parts) >= LEAST_IMAGES), default=1)
    share = config.batch_size // (count * parts)
    each = f"each computes, and normalises by its own statistics, {share} images at a time"
    if config.devices == "auto":
        told = f"--devices auto: {count} of {there} {kind}"
        if count > 1:
            told += f"; {each}"
        elif there > 1:
            told += f": a batch of {config.batch_size} cannot be divided so that each has {LEAST_IMAGES} images or more"
        return dataclasses.replace(config, devices=count), told
    if config.devices == 1 and count > 1:
        return config, f"one of {there} {kind} trains; --devices auto takes {count}: {each}"
    return config, ""


def _there(config: TrainConfig) -> tuple[str, int]:
    """What a machine can train on, in words, and how many of them."""
    if config.accelerator in ("auto", "cuda") and torch.cuda.is_available():
        return "GPUs", torch.cuda.device_count()
    if config.accelerator == "mps" or (config.accelerator == "auto" and torch.backends.mps.is_available()):
        return "GPUs", 1
    return "CPU cores", usable_cores()
