"""The folder of one training run: its settings, its log, its checkpoints."""

import dataclasses
import importlib.metadata
import json
import subprocess
import time
from pathlib import Path
from typing import Any

from mobiledet import __version__
from mobiledet.atomic import atomic_file
from mobiledet.errors import UserError
from mobiledet.spec import read_json
from mobiledet.train.config import TrainConfig

RECORDED_PACKAGES = ("torch", "torchvision", "lightning", "albumentations", "numpy", "faster-coco-eval")


class RunFolder:
    """Paths and log of a run.

    Attributes:
        path: the folder.
        best, last: checkpoints.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.best = path / "best.ckpt"
        self.last = path / "last.ckpt"
        self._metrics = path / "metrics.jsonl"

    @classmethod
    def create(cls, config: TrainConfig, name: str) -> "RunFolder":
        """Make the folder and write config.json.

        Raises:
            UserError: a run is there already, or the folder cannot be written.
        """
        path = config.out or Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
        folder = cls(path)
        if folder.last.exists() or folder.best.exists():
            raise UserError(f"{path} holds a run already; choose another --out, or go on with --resume {path}")
        with atomic_file(path / "config.json") as temporary:
            record = {"config": config_to_json(config), "environment": environment(), "started": _now()}
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        return folder

    def load_config(self) -> TrainConfig:
        """The settings that a run to be resumed was started with.

        Raises:
            UserError: there is no such run, or its config.json is damaged.
        """
        if not self.last.is_file():
            raise UserError(f"{self.path} holds no last.ckpt to resume from; give the folder of a run that was begun")
        return config_from_json(read_json(self.path / "config.json"), self.path / "config.json")

    def log(self, record: dict[str, Any]) -> None:
        """Append one line to metrics.jsonl."""
        with self._metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**record, "time": _now()}) + "\n")


def config_to_json(config: TrainConfig) -> dict[str, Any]:
    values = dataclasses.asdict(config)
    return {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}


def config_from_json(record: Any, source: Path) -> TrainConfig:
    try:
        values = dict(record["config"])
        paths = [field.name for field in dataclasses.fields(TrainConfig) if "Path" in str(field.type)]
        values.update({name: Path(values[name]) for name in paths if values.get(name) is not None})
        return TrainConfig(**values)
    except (KeyError, TypeError) as error:
        raise UserError(f"{source} does not hold the settings of a training run: {error}") from error


def environment() -> dict[str, str]:
    """Versions that a result depends on."""
    versions = {"mobiledet": __version__, "commit": code_commit()}
    for package in RECORDED_PACKAGES:
        versions[package] = importlib.metadata.version(package)
    return versions


def code_commit() -> str:
    """The git commit of this code; empty when it is installed without its repository."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return answer.stdout.strip()


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")
