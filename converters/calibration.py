"""Images that show a quantiser what values occur inside of the network: a sample of the training images."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mobiledet.data.coco import BUILT_IN, find_split
from mobiledet.data.images import list_images, load_rgb, resize
from mobiledet.data.shapes import CATEGORIES, shapes_folder
from mobiledet.errors import UserError
from mobiledet.spec import InputSpec, ModelSpec, read_json
from mobiledet_converters.config import ExportConfig

COCO = "coco"  # the word for the training images of --data


@dataclass(frozen=True)
class Calibration:
    """A sample of images, the same for the same source, number and seed.

    Attributes:
        source: where they come from, in words.
        seed: of the sample.
        images: sorted by name.
        warning: for the user, when the source is not what it should be; else empty.
    """

    source: str
    seed: int
    images: tuple[Path, ...]
    warning: str = ""

    def record(self) -> dict[str, Any]:
        """What a bundle says of it, as JSON values."""
        return {"source": self.source, "images": len(self.images), "seed": self.seed}

    def load(self, spec: InputSpec) -> np.ndarray:
        """N x height x width x 3 uint8 RGB, as the model takes them.

        Raises:
            UserError: an image cannot be decoded.
        """
        return np.stack([resize(load_rgb(path), spec.height, spec.width) for path in self.images])


def choose_calibration(config: ExportConfig, checkpoint: Path, spec: ModelSpec) -> Calibration:
    """Sample the training images of a data set.

    Args:
        config: which ones and how many.
        checkpoint: its training run names the images that are taken where ``config`` names none.
        spec: of the model, for its classes.

    Raises:
        UserError: a number is out of range; the source does not exist or holds no images, is of other classes than
            the model, or is what the model is validated on.
    """
    if config.calibration_images < 1:
        raise UserError(f"--calibration-images is {config.calibration_images}; at least one image is needed")
    if config.calibration_seed < 0:
        raise UserError(f"--calibration-seed {config.calibration_seed} is negative")
    source, folder, warning = _find(config, checkpoint, spec)
    images = list_images(folder)
    random = np.random.default_rng(config.calibration_seed)
    chosen = random.choice(len(images), min(config.calibration_images, len(images)), replace=False)
    return Calibration(source, config.calibration_seed, tuple(images[index] for index in sorted(chosen)), warning)


def _find(config: ExportConfig, checkpoint: Path, spec: ModelSpec) -> tuple[str, Path, str]:
    """The source in words, its folder of images, and a warning."""
    run = run_settings(checkpoint)
    if config.calibration is None:
        return _training_images(config, run) or _built_in_instead(config, spec)
    if config.calibration == BUILT_IN:
        _require_classes(list(CATEGORIES), spec, "the built-in set")
        return _built_in(config)
    if config.calibration == COCO:
        data = config.data or run.get("data")
        if not data or data == BUILT_IN:
            raise UserError("--calibration coco needs --data, the folder with COCO's annotations/ and train2017/")
        folder = Path(data)
    else:
        folder = Path(config.calibration)
        if not folder.exists():
            raise UserError(f"--calibration {folder} does not exist; give a folder, or one of the words coco, shapes")
    if config.calibration == COCO or (folder / "annotations").is_dir():
        images, annotations = find_split(folder, "train")
        _require_classes(_categories(folder, annotations), spec, str(annotations))
        folder = images
    _refuse_validation_images(folder, run)
    return str(folder), folder, ""


def run_settings(checkpoint: Path) -> dict[str, Any]:
    """The settings of the training run that wrote the checkpoint; empty if they cannot be told."""
    try:
        return dict(read_json(checkpoint.parent / "config.json")["config"])
    except (UserError, KeyError, TypeError, ValueError):
        return {}


def _training_images(config: ExportConfig, run: dict[str, Any]) -> tuple[str, Path, str] | None:
    """Those of the run, if they are still there."""
    try:
        if run.get("train_images"):
            folder = Path(run["train_images"])
        elif run["data"] == BUILT_IN:
            return _built_in(config)
        else:
            folder, _ = find_split(Path(run["data"]), "train")
        list_images(folder)
    except (UserError, KeyError, TypeError):
        return None
    return str(folder), folder, ""


def _built_in(config: ExportConfig) -> tuple[str, Path, str]:
    drawn = shapes_folder(train=2 * config.calibration_images, val=0)  # so that there is something to choose from
    return "built-in shapes, training images", find_split(drawn, "train")[0], ""


def _built_in_instead(config: ExportConfig, spec: ModelSpec) -> tuple[str, Path, str]:
    source, folder, _ = _built_in(config)
    warning = (
        "the training images of this checkpoint cannot be found, so built-in shapes calibrate the integers in their "
        f"place, which costs accuracy if {spec.name} was trained on something else; give --calibration"
    )
    return source, folder, "" if set(spec.labels) <= CATEGORIES.keys() else warning


def _categories(folder: Path, annotations: Path) -> list[str]:
    """Names in the annotations of the training split, or of the other split: it has the same and is read at once,
    where COCO's training annotations take half a minute and gigabytes."""
    with suppress(UserError):
        annotations = find_split(folder, "val")[1]
    content = read_json(annotations)
    try:
        return [str(category["name"]) for category in content["categories"]]
    except (KeyError, TypeError) as error:
        raise UserError(f"{annotations} is not COCO: it lists no categories with names") from error


def _require_classes(names: list[str], spec: ModelSpec, source: str) -> None:
    if not set(names) & set(spec.labels):
        raise UserError(
            f"--calibration: {source} is of other classes ({_some(names)}) than {spec.name} ({_some(spec.labels)}); "
            "give images of the kind that the model was trained on"
        )


def _refuse_validation_images(folder: Path, run: dict[str, Any]) -> None:
    """Integers that are fitted to the images which then judge them would look better than they are."""
    validation = [folder] if _is_validation(folder) else []
    if run.get("val_images"):
        validation.append(Path(run["val_images"]))
    elif run.get("data") and run["data"] != BUILT_IN:
        with suppress(UserError):
            validation.append(find_split(Path(run["data"]), "val")[0])
    if any(folder.resolve() == other.resolve() for other in validation):
        raise UserError(
            f"--calibration {folder} holds validation images: mAP measured on them would flatter the integers; "
            "give training images"
        )


def _is_validation(folder: Path) -> bool:
    """Whether a folder of images is the validation part of a set in COCO's layout."""
    try:
        return find_split(folder.resolve().parent, "val")[0].resolve() == folder.resolve()
    except UserError:
        return False


def _some(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
