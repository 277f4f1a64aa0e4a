"""Which of the written files go into the bundle: those that find what PyTorch finds, and keep its mAP."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mobiledet.data.dataset import DetectionSet
from mobiledet.detectors import Detector
from mobiledet.errors import UserError
from mobiledet_converters.checks import CheckedFile
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.measure import PYTORCH, Model, TorchModel, beside_pytorch, measure_map
from mobiledet_converters.reference import Reference
from mobiledet_converters.tflite.error_table import as_table, error_table, to_blame, write_table

SHOWN = 10  # layers of a quantised file; the others are in the files
FLOAT_FILE = "raw.float32.tflite"  # what the converter leaves beside the files


def common_images(files: Sequence[CheckedFile], console: Console) -> list[CheckedFile]:
    """Leave out files without a golden case in common with the others, the worst first; floats are never left out."""
    kept = list(files)
    while len(kept) > 1 and not set.intersection(*(file.replayable for file in kept)):
        integers = [file for file in kept if not file.entry.precision.startswith("float")]
        if not integers:
            break
        worst = min(integers, key=lambda file: len(file.replayable))
        kept.remove(worst)
        console.print(
            f"{worst.entry.path} is left out: no image on which it and the others agree with PyTorch; give more "
            "--parity-images"
        )
    return kept


def measure(
    files: Sequence[CheckedFile],
    config: ExportConfig,
    detector: Detector,
    reference: Reference,
    dataset: DetectionSet,
    console: Console,
) -> list[CheckedFile]:
    """Note the mAP of each file, and leave out those that lose more than allowed.

    Raises:
        UserError: an image is bad, or no file is left.
    """
    models: dict[str, Model] = {PYTORCH: TorchModel(detector, reference.spec)}
    models.update({file.entry.path: file.model for file in files})
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(f"mAP of {len(models)} models", total=len(dataset.images))
        maps = beside_pytorch(
            measure_map(models, reference.spec, dataset, lambda done: progress.update(task, completed=done))
        )
    kept = []
    for file in files:
        entry = maps[file.entry.path]
        if entry["drop"] <= config.max_map_drop or config.force:
            kept.append(dataclasses.replace(file, entry=dataclasses.replace(file.entry, map=entry)))
            continue
        console.print(
            f"{file.entry.path} is left out: mAP {entry['AP']:.4f} in place of {entry['pytorch']:.4f}, "
            f"{entry['drop']:.4f} less (--max-map-drop {config.max_map_drop:g}; --force ships it all the same)"
        )
        blame(file, reference, console)
    if not kept:
        raise UserError(
            f"no file keeps its mAP within --max-map-drop {config.max_map_drop:g}, so no bundle is written; see above"
        )
    return kept


def blame(file: CheckedFile, reference: Reference, console: Console) -> None:
    """Name the layers of a quantised file that lose the most, where its format can tell."""
    if _float_file(file).is_file() and file.entry.precision != "float32":
        worst = to_blame(error_table(_float_file(file), file.source, reference.inputs))
        console.print(as_table(f"what loses the most in {file.entry.path}", worst))
        console.print("`mobiledet train --qat` trains what int8 loses back; int8-weights and float16 lose less")


def debug(files: Sequence[CheckedFile], reference: Reference, folder: Path, console: Console) -> None:
    """Write the error of every layer of the quantised .tflite files into a folder, and show it.

    Raises:
        UserError: the folder cannot be written.
    """
    for file in files:
        if file.entry.format != "tflite" or file.entry.precision == "float32":
            continue
        table = error_table(_float_file(file), file.source, reference.inputs)
        console.print(as_table(f"what loses the most in {file.entry.path}", to_blame(table, SHOWN)))
        written = write_table(folder, file.entry.precision, table)
        console.print(f"every layer: {', '.join(map(str, written))}", highlight=False, soft_wrap=True)


def _float_file(file: CheckedFile) -> Path:
    return file.source.parent / FLOAT_FILE
