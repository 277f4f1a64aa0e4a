"""What PyTorch finds in real images: the reference that model files are held against."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from mobiledet.data.coco import find_split
from mobiledet.data.images import list_images, load_rgb, resize
from mobiledet.data.shapes import shapes_folder
from mobiledet.detections import Detections
from mobiledet.detectors import Detector
from mobiledet.errors import UserError
from mobiledet.ops.images import normalize
from mobiledet.spec import InputSpec, ModelSpec, read_json


def choose_images(checkpoint: Path, images: Path | None, count: int) -> list[Path]:
    """Pictures spread evenly over a folder.

    Args:
        checkpoint: the validation images of its training run are taken if they are still there.
        images: a folder, or one picture, to take instead.
        count: how many at most.

    Raises:
        UserError: ``images`` does not exist or holds no pictures, or ``count`` is not positive.
    """
    if count < 1:
        raise UserError(f"--parity-images is {count}; at least one image is needed for the comparison")
    found = list_images(images) if images else _validation_images(checkpoint.parent) or _shapes(count)
    steps = np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int)
    return [found[index] for index in steps]


def _validation_images(run_folder: Path) -> list[Path]:
    """Those that config.json of a training run names; none if it cannot be told or they are gone."""
    try:
        config = read_json(run_folder / "config.json")["config"]
        folder = config["val_images"] or find_split(Path(config["data"]), "val")[0]
        return list_images(Path(folder))
    except (UserError, KeyError, TypeError):
        return []


def _shapes(count: int) -> list[Path]:
    return list_images(find_split(shapes_folder(train=0, val=max(count, 8)), "val")[0])


def load_inputs(paths: Sequence[Path], spec: InputSpec) -> list[np.ndarray]:
    """The pictures as the model takes them: height x width x 3 uint8 RGB.

    Raises:
        UserError: one cannot be decoded.
    """
    return [resize(load_rgb(path), spec.height, spec.width) for path in paths]


@torch.inference_mode()
def detect(detector: Detector, spec: ModelSpec, inputs: Sequence[np.ndarray]) -> list[Detections]:
    """PyTorch's detections, boxes in pixels of the input; by the dynamic post-processing, which shares nothing with
    the graph's but the box coding."""
    images = torch.from_numpy(np.stack(inputs)).permute(0, 3, 1, 2)
    found = detector.postprocess(detector(normalize(images, spec.input)), spec.nms)
    return [Detections(f.boxes_xyxy.numpy(), f.scores.numpy(), f.labels.numpy()) for f in found]


@torch.inference_mode()
def raw_outputs(detector: Detector, spec: ModelSpec, image: np.ndarray) -> dict[str, np.ndarray]:
    """The head's outputs for one image, by name."""
    images = torch.from_numpy(image[None]).permute(0, 3, 1, 2)
    return {name: values.numpy() for name, values in detector(normalize(images, spec.input))._asdict().items()}
