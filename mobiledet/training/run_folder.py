"""The folder of a training run: its settings, logs and checkpoints."""

import dataclasses
import importlib.metadata
import json
import math
import subprocess
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from mobiledet import __version__
from mobiledet.checkpoint import Checkpoint, load_checkpoint
from mobiledet.data.dataset import LeftOut
from mobiledet.errors import UserError
from mobiledet.files.atomic import atomic_file
from mobiledet.files.locks import locked_folder
from mobiledet.records import RECORD_BYTES, decode
from mobiledet.spec import read_json
from mobiledet.training.config import TrainConfig

CONFIG = "config.json"
RECORDED_PACKAGES = ("torch", "torchvision", "lightning-fabric", "albumentations", "numpy", "hotcoco")


class RunFolder:
    """The files of a run.

    Attributes:
        path: the folder.
        best: the checkpoint with the highest validation mAP.
        last, previous: the newest checkpoint to resume from, and the one before it.
        metrics: JSON lines, one for each evaluation.
        curves: JSON lines with loss, learning rate and speed, see ``training.curves``.
        report: the HTML report.
        left_out: images and annotations that are not used because they are bad, one per line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.best = path / "best.ckpt"
        self.last = path / "last.ckpt"
        self.previous = path / "previous.ckpt"
        self.metrics = path / "metrics.jsonl"
        self.curves = path / "curves.jsonl"
        self.report = path / "report.html"
        self.left_out = path / "left_out.txt"

    @classmethod
    def create(cls, config: TrainConfig, name: str, stack: ExitStack) -> "RunFolder":
        """Make the folder and write config.json.

        Args:
            config: settings of the run.
            name: name of the model, part of the folder's name if the settings give no ``out``.
            stack: keeps the folder locked until it is closed, so that no other process trains there.

        Raises:
            UserError: the folder already holds a run, another process is training there, or it cannot be written.
        """
        path = config.out or _unused_path(Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}")
        folder = cls(path)
        stack.enter_context(folder.locked())
        if any(checkpoint.exists() for checkpoint in (folder.best, folder.last, folder.previous)):
            raise UserError(f"{path} already holds a run; choose another --out, or continue it with --resume {path}")
        folder.write_config(config)
        return folder

    def locked(self) -> AbstractContextManager[None]:
        """A context that makes the folder and locks it, so that no other process trains there.

        Raises:
            UserError: as in ``locked_folder``.
        """
        return locked_folder(self.path, "training")

    def write_config(self, config: TrainConfig) -> None:
        """Write config.json.

        Raises:
            UserError: it cannot be written.
        """
        record = {"config": config_to_json(config), "environment": environment(), "started": _now()}
        with atomic_file(self.path / CONFIG) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

    def write_left_out(self, entries: Sequence[LeftOut]) -> None:
        """Write the list of images and annotations that are not used.

        Raises:
            UserError: it cannot be written.
        """
        with atomic_file(self.left_out) as temporary:
            lines = (f"{entry.reason}: {entry.text}\n" for entry in entries)
            temporary.write_text("".join(lines), encoding="utf-8", errors="surrogateescape")

    def load_config(self) -> TrainConfig:
        """The settings that the run was started with.

        Raises:
            UserError: the folder holds no run, or its config.json is damaged.
        """
        if not (self.path / CONFIG).is_file():
            raise UserError(f"{self.path} holds no {CONFIG} to resume from; give the folder of an earlier run")
        return config_from_json(read_json(self.path / CONFIG, RECORD_BYTES), self.path / CONFIG)

    def newest_checkpoint(self) -> tuple[Checkpoint | None, Path, str]:
        """The newest checkpoint that can be read.

        Returns:
            the checkpoint, or None if the run was stopped before its first one; its file; and what is wrong with newer
            files that cannot be read, empty if nothing.

        Raises:
            UserError: there are checkpoints, but none can be read.
        """
        # last.ckpt is missing for a moment while the files are renamed
        paths = [path for path in (self.last, self.previous) if path.is_file()]
        if not paths and self.best.is_file():
            raise UserError(f"{self.path} holds no {self.last.name} to resume from; start a new run")
        problems: list[str] = []
        for path in paths:
            try:
                return load_checkpoint(path), path, "; ".join(problems)
            except UserError as error:
                problems.append(str(error))
        if problems:
            raise UserError("; ".join(problems))
        return None, self.last, ""

    def log(self, record: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**record, "time": _now()}) + "\n")

    def rewind(self, epoch: int) -> None:
        """Remove lines that were logged after ``epoch``, and files that a killed process left half-written."""
        for leftover in self.path.glob(".*.tmp"):
            leftover.unlink()
        if self.metrics.is_file():
            lines = self.metrics.read_text(encoding="utf-8", errors="replace").splitlines()
            kept = [line for line in lines if _epoch(line) <= epoch]
            with atomic_file(self.metrics) as temporary:
                temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


def _unused_path(path: Path) -> Path:
    """The path itself, or with a number appended if it exists, such as from a run that started in the same second."""
    names = (path, *(path.with_name(f"{path.name}-{number}") for number in range(2, 1000)))
    return next(name for name in names if not name.exists())


def _epoch(line: str) -> float:
    """The epoch in a line of metrics.jsonl; infinite if the line is cut off or damaged."""
    try:
        return float(json.loads(line)["epoch"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return math.inf


def config_to_json(config: TrainConfig) -> dict[str, Any]:
    """The settings as JSON values; paths become strings."""
    values = dataclasses.asdict(config)
    return {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}


def config_from_json(record: Any, source: Path) -> TrainConfig:
    """The settings in the record of a run.

    Args:
        record: decoded JSON, whose field ``config`` is the result of ``config_to_json``; settings that did not exist
            when the run was made take their defaults.
        source: the file, for error messages.

    Raises:
        UserError: the record holds no valid settings.
    """
    try:
        if not isinstance(record, dict):
            raise ValueError("it is not a JSON object")
        config: TrainConfig = decode(TrainConfig, record.get("config"), "config", filled=(TrainConfig,))
        return config
    except ValueError as error:
        raise UserError(f"{source} does not hold the settings of a training run: {error}") from error


def environment() -> dict[str, str]:
    """Versions of this project, its code and the packages that a result depends on."""
    versions = {"mobiledet": __version__, "commit": code_commit()}
    for package in RECORDED_PACKAGES:
        versions[package] = importlib.metadata.version(package)
    return versions


def code_commit() -> str:
    """The git commit of this code; empty if it is installed without its repository."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return answer.stdout.strip()


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
