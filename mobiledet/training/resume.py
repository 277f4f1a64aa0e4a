"""The settings of a run that goes on: its own, but for those that may change on the way."""

import dataclasses
from pathlib import Path
from typing import Any

from mobiledet.errors import UserError
from mobiledet.keywords import option_text
from mobiledet.training.config import TrainConfig
from mobiledet.training.run_folder import RunFolder

# what neither the weights learnt so far nor the order of the images depends on, the length of the run, and where the
# data
# lies now
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


def settings_of_run(path: Path) -> TrainConfig:
    """Those that a run was begun with, to be resumed; options of a command line are applied to them.

    Raises:
        UserError: there is no such run.
    """
    return dataclasses.replace(RunFolder(path).load_config(), out=path, resume=path)


def resumed(config: TrainConfig) -> TrainConfig:
    """The settings with which a run goes on.

    Args:
        config: ``resume`` names the run. Where ``out`` is the same folder all others are meant as they stand (see
            ``settings_of_run``); else only those that differ from the defaults are meant to change the run's own.

    Raises:
        UserError: there is no such run, or a setting cannot be changed any more.
    """
    path = config.resume
    assert path is not None
    own = settings_of_run(path)
    if config.out is None:
        given = {name: value for name, value in _differences(config, TrainConfig()) if name not in ("resume", "out")}
        config = dataclasses.replace(own, **given)
    fixed = [(name, value) for name, value in _differences(config, own) if name not in MAY_CHANGE]
    if fixed:
        wanted = " ".join(option_text(name, value) for name, value in fixed)
        has = " ".join(option_text(name, getattr(own, name)) for name, _ in fixed)
        raise UserError(
            f"{wanted} cannot be changed on --resume; the run has {has}. Leave it out, or start a new run from its "
            "weights "
            f"with --init {path / 'best.ckpt'}"
        )
    return config


def _differences(config: TrainConfig, other: TrainConfig) -> list[tuple[str, Any]]:
    names = [field.name for field in dataclasses.fields(TrainConfig)]
    return [(name, getattr(config, name)) for name in names if getattr(config, name) != getattr(other, name)]
