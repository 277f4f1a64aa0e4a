"""The gain of quantisation-aware fine-tuning: mAP of a detector's int8 file before and after, in LiteRT.

The detectors of the built-in shapes lose next to nothing in int8, so the hard case is made here, from a trained
ShuffleNetV2. In each of its branches a 1x1 convolution with normalisation and ReLU feeds a 3x3 depthwise convolution,
channel by channel. Scaling a channel of the normalisation by a power of two, and the channel's depthwise weights by its
inverse, leaves the float network as it is to the last bit, because ReLU(s x) = s ReLU(x) for s > 0. But the channels
between the two then differ up to 32-fold in size, as they do in networks that were not trained with integers in mind
(Nagel et al., arXiv:1906.04721, section 3), and share the one scale that an int8 tensor has.

One run prints the mAP of the float32 and the int8 file, and of PyTorch: of the case as it is, after fine-tuning with
``--qat``, and after the same fine-tuning without it, to separate the gain of further training.

    mobiledet quickstart
    python benchmarks/qat_gain.py --checkpoint runs/quickstart/run/best.ckpt --data runs/quickstart/shapes
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mobiledet.backbones.shufflenet_v2 import Branch
from mobiledet.checkpoint import Checkpoint, load_detector, save_checkpoint
from mobiledet.data.read import load_split
from mobiledet.detectors import Detector
from mobiledet.devices.base import ImageModel
from mobiledet.devices.litert import LiteRtDetector
from mobiledet.errors import UserError
from mobiledet.training.config import TrainConfig
from mobiledet.training.engine import train
from mobiledet.training.recipes import QAT
from mobiledet_converters.calibration import choose_calibration
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.job import ConversionJob
from mobiledet_converters.measure import PYTORCH, TorchModel, measure_map
from mobiledet_converters.process import Conversion

PRECISIONS = ("float32", "int8")
DOUBLINGS = 5  # of a channel, at most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="a trained ShuffleNetV2 detector")
    parser.add_argument("--data", type=Path, required=True, help="its training data, in COCO's layout")
    parser.add_argument("--epochs", type=int, default=QAT["epochs"])
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--lr", type=float, default=QAT["lr"])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        uneven = write_uneven(options.checkpoint, folder / "uneven.ckpt", options.seed)
        report("as it is", uneven, options, folder / "before")
        for name, qat in (("after --qat", True), ("after the same without it", False)):
            tuned = fine_tuned(uneven, folder / f"run-{qat}", qat, options)
            report(name, tuned, options, folder / f"after-{qat}")


def write_uneven(source: Path, target: Path, seed: int) -> Path:
    """Write the hard case of a checkpoint.

    Raises:
        UserError: it is none of a ShuffleNetV2.
    """
    detector, spec = load_detector(source)
    scale_channels(detector, torch.Generator().manual_seed(seed))
    save_checkpoint(target, Checkpoint(spec, detector.state_dict()))
    return target


@torch.no_grad()
def scale_channels(detector: Detector, random: torch.Generator) -> None:
    """Scale channels by random powers of two, and the weights that read them by the inverse, in place."""
    branches: list[Any] = [module for module in detector.modules() if isinstance(module, Branch)]
    if not branches:
        raise UserError("the backbone has no branches of ShuffleNetV2; give a checkpoint that has")
    for branch in branches:
        norm, depthwise = branch[0][1], branch[1][0]
        factors = 2.0 ** torch.randint(DOUBLINGS + 1, norm.weight.shape, generator=random)
        norm.weight *= factors
        norm.bias *= factors
        depthwise.weight /= factors.view(-1, 1, 1, 1)


def fine_tuned(checkpoint: Path, folder: Path, qat: bool, options: argparse.Namespace) -> Path:
    """The checkpoint after further epochs."""
    _, spec = load_detector(checkpoint)
    config = TrainConfig(
        data=str(options.data),
        init=checkpoint,
        qat=qat,
        backbone=spec.backbone,
        detector=spec.detector,
        image_size=spec.input.height,
        epochs=options.epochs,
        batch_size=options.batch_size,
        lr=options.lr,
        accelerator="cpu",
        seed=options.seed,
        out=folder,
    )
    return train(config).best


def report(name: str, checkpoint: Path, options: argparse.Namespace, folder: Path) -> None:
    """Convert a checkpoint as the export does, without its checks, and print the mAP of the files and of PyTorch.

    Args:
        name: of the line.
        checkpoint: of a detector.
        options: of the command line.
        folder: to be made, for the files.
    """
    detector, spec = load_detector(checkpoint)
    folder.mkdir()
    images = choose_calibration(ExportConfig(checkpoint, calibration="coco", data=str(options.data)), checkpoint, spec)
    np.save(folder / "calibration.npy", images.load(spec.input))
    job = ConversionJob(checkpoint, folder, PRECISIONS, {}, calibration=folder / "calibration.npy")
    with Conversion("tflite", job) as conversion:
        files = conversion.answer().files
    models: dict[str, ImageModel] = {file.precision: LiteRtDetector(folder / file.name) for file in files}
    models[PYTORCH] = TorchModel(detector, spec)
    measured, _ = measure_map(models, spec, load_split(str(options.data), "val"))
    print(f"{name:<28}", *(f"{model} {entry['AP']:.4f}" for model, entry in measured.items()), sep="  ", flush=True)


if __name__ == "__main__":
    main()
