"""The settings of a resumed run: its own, except for those that may change."""

import dataclasses
from pathlib import Path
from typing import Any

from mobiledet.errors import UserError
from mobiledet.keywords import option_text
from mobiledet.training.config import TrainConfig
from mobiledet.training.run_folder import RunFolder

# settings that affect neither the weights learned so far nor the order of images, the length of the run, and the
# present location of the data
MAY_CHANGE = frozenset(
    {
        "data",
        "epochs",
        "eval_every",
        "patience",
        "save_every_minutes",
        "workers",
        "devices",
        "nodes",
        "accelerator",
        "precision",
        "cache_images",
        "scorer",
        "on_bad_data",
    }
)


def config_to_resume(path: Path) -> TrainConfig:
    """The settings that a run was started with, set to resume it; options of a command line are applied to them.

    Raises:
        UserError: the run does not exist.
    """
    return dataclasses.replace(RunFolder(path).load_config(), out=path, resume=path)


def resumed_config(config: TrainConfig) -> TrainConfig:
    """The settings of a resumed run: its own with the requested changes.

    Args:
        config: ``resume`` is the run folder. If ``out`` is set, the config is complete (see ``config_to_resume``) and
            used as it is; otherwise only the settings that differ from the defaults change the run's own.

    Raises:
        UserError: the run does not exist, or a setting cannot be changed when resuming.
    """
    path = config.resume
    assert path is not None
    own = config_to_resume(path)
    if config.out is None:
        given = {name: value for name, value in _differences(config, TrainConfig()) if name not in ("resume", "out")}
        config = dataclasses.replace(own, **given)
    fixed = [(name, value) for name, value in _differences(config, own) if name not in MAY_CHANGE]
    if fixed:
        wanted = " ".join(option_text(name, value) for name, value in fixed)
        has = " ".join(option_text(name, getattr(own, name)) for name, _ in fixed)
        raise UserError(
            f"{wanted} cannot be changed on --resume; the run has {has}. Leave it out, or start a new run from its "
            f"weights with --init {path / 'best.ckpt'}"
        )
    return config


def _differences(config: TrainConfig, other: TrainConfig) -> list[tuple[str, Any]]:
    names = [field.name for field in dataclasses.fields(TrainConfig)]
    return [(name, getattr(config, name)) for name in names if getattr(config, name) != getattr(other, name)]
