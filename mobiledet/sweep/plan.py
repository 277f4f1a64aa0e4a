"""The steps of a sweep in order. Each is a mobiledet command with an output that exists once it has succeeded."""

import itertools
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mobiledet.errors import UserError
from mobiledet.files.atomic import file_name_of
from mobiledet.files.checksums import SUMS
from mobiledet.sweep.config import SweepConfig


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        name: unique name, also of its log.
        kind: the command.
        arguments: all arguments after ``mobiledet``.
        output: the file or folder that it makes.
        source: the file or bundle that it reads; if it changes, the step is repeated.
        needs: names of the steps that must succeed first.
    """

    name: str
    kind: Literal["train", "export", "evaluate"]
    arguments: tuple[str, ...]
    output: Path
    source: Path | None = None
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Bundle:
    """A bundle that exists, or that a step will make."""

    name: str
    path: Path
    needs: tuple[str, ...] = ()


def plan(config: SweepConfig) -> list[Step]:
    """All steps, model by model.

    Raises:
        UserError: there is nothing to do, a path is not a model, or options contradict each other.
    """
    if not config.models and not config.backbones:
        raise UserError("nothing to sweep; give bundles, checkpoints or run folders, or --backbones to train")
    if config.backbones and config.data is None:
        raise UserError("--backbones are trained on --data; give a folder of annotated images, or shapes")
    for name in ("precisions", "devices", "threads", "accelerators"):
        if not getattr(config, name):
            raise UserError(f"--{name} is empty")
    steps: list[Step] = []
    for bundle in itertools.chain(_given(config, steps), _trained(config, steps)):
        steps.extend(_evaluations(config, bundle))
    names = [step.name for step in steps]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UserError(f"two models or options of the sweep make the same step {repeated[0]}; give each once")
    return steps


def _given(config: SweepConfig, steps: list[Step]) -> Iterator[_Bundle]:
    """The bundles of existing models; export steps are added for checkpoints."""
    for path in config.models:
        checkpoint = path / "best.ckpt" if path.is_dir() else path
        if (path / SUMS).is_file() or (path.is_file() and path.suffix in (".zip", ".mobiledet")):
            yield _Bundle(_name(path), path)
        elif checkpoint.is_file() and checkpoint.suffix == ".ckpt":
            folder = checkpoint.parent
            name = folder.name if checkpoint.name == "best.ckpt" else f"{folder.name}-{checkpoint.stem}"
            yield _export(config, steps, name, checkpoint, ())
        else:
            raise UserError(f"{path} is neither a bundle nor a checkpoint nor a run folder with a best.ckpt")


def _trained(config: SweepConfig, steps: list[Step]) -> Iterator[_Bundle]:
    for backbone, detector, side in itertools.product(config.backbones, config.detectors, config.image_sizes):
        name = file_name_of(f"{backbone}-{detector}-{side}")
        run = config.out / "runs" / name
        network = ("--backbone", backbone, "--detector", detector, "--image-size", str(side))
        options = ("--data", str(config.data), *_words("train", config.train_options), "--out", str(run))
        arguments = ("train", *network, *options)
        steps.append(Step(f"train-{name}", "train", arguments, run / "best.ckpt"))
        yield _export(config, steps, name, run / "best.ckpt", (f"train-{name}",))


def _export(config: SweepConfig, steps: list[Step], name: str, checkpoint: Path, needs: tuple[str, ...]) -> _Bundle:
    bundle = config.out / "bundles" / f"{name}.mobiledet"
    options = ("--format", *config.formats, "--precision", *config.precisions, "--overwrite")
    arguments = ("export", str(checkpoint), *options, *_words("export", config.export_options), "--out", str(bundle))
    steps.append(Step(f"export-{name}", "export", arguments, bundle, checkpoint, needs))
    return _Bundle(name, bundle, (*needs, f"export-{name}"))


def _evaluations(config: SweepConfig, bundle: _Bundle) -> Iterator[Step]:
    data = ("--data", config.data, "--limit", str(config.limit)) if config.data else ("--no-accuracy",)
    for precision, device, threads, accelerator in itertools.product(
        config.precisions, config.devices, config.threads, config.accelerators
    ):
        parts = [bundle.name, precision, device]
        parts += [f"{threads}t"] if len(config.threads) > 1 else []
        parts += [accelerator] if len(config.accelerators) > 1 else []
        name = file_name_of("-".join(parts))
        result = config.out / "results" / f"{name}.json"
        options = ("--precision", precision, "--device", device, "--threads", str(threads))
        more = ("--accelerator", accelerator, *data, *_words("evaluate", config.evaluate_options), "--out", str(result))
        arguments = ("evaluate", str(bundle.path), *options, *more)
        yield Step(f"evaluate-{name}", "evaluate", arguments, result, bundle.path, bundle.needs)


def _name(bundle: Path) -> str:
    """The name of a bundle: its file name, prefixed with its folder's if it is a usual one, such as best.mobiledet."""
    return f"{bundle.absolute().parent.name}-{bundle.stem}" if bundle.stem in ("best", "model") else bundle.stem


def _words(command: str, options: str) -> list[str]:
    try:
        return shlex.split(options)
    except ValueError as error:
        raise UserError(f"--{command}-options {options!r} cannot be read: {str(error).lower()}") from error
