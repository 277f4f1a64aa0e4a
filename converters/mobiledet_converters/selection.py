"""Which of the written files go into the bundle: those that find what PyTorch finds, and keep its mAP."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mobiledet.bundle import LeftOut
from mobiledet_converters.checks import CheckedFile
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.reference import Reference
from mobiledet_converters.tflite.error_table import as_table, error_table, to_blame, write_table

KEPT_DROP = 0.01  # a file of integers that loses no more mAP than this is sound, whatever single detections do
KEPT_PART = 0.5  # unless that is more than this part of PyTorch's mAP, which then tells nothing
REPORT = "please report it with this line"
SHOWN = 10  # layers of a quantised file; the others are in the files
FLOAT_FILE = "raw.float32.tflite"  # what the converter leaves beside the files


def select(files: Sequence[CheckedFile], config: ExportConfig) -> tuple[list[CheckedFile], list[LeftOut]]:
    """The files that ship, and those that do not; of those first the ones that are wrong by themselves.

    A file whose detections are not those of PyTorch ships only if that is what integers do to a sound file, which its
    mAP tells; --force ships such a file, and one that loses too much mAP, all the same. A file of floats that is wrong
    takes those of its format with it: the bounds of integers are too wide to find in them what is wrong in it.

    Args:
        files: checked, and measured where there are images for it.
        config: how much mAP may be lost.
    """
    kept, left_out, with_another = [], [], []
    wrong = {file.entry.format: file.entry.path for file in reversed(files) if file.problem and _is_float(file)}
    for file in files:
        if not file.problem and file.entry.format in wrong:
            reason = f"it comes of the same conversion as {wrong[file.entry.format]}, which is wrong"
            with_another.append(LeftOut(file.entry.path, reason, REPORT))
            continue
        drop = file.entry.map["drop"] if file.entry.map else None
        is_overruled = file.is_doubtful and (config.force or _keeps_map(file))
        if file.problem and not is_overruled:
            left_out.append(LeftOut(file.entry.path, file.problem, _advice(file)))
        elif drop is not None and drop > config.max_map_drop and not config.force:
            left_out.append(_loses_too_much(file, drop, config.max_map_drop))
        else:
            kept.append(file.noting(overruled=file.problem) if file.problem else file)
    return kept, left_out + with_another


def _keeps_map(file: CheckedFile) -> bool:
    measured = file.entry.map
    return measured is not None and measured["drop"] <= min(KEPT_DROP, KEPT_PART * measured["pytorch"])


def _is_float(file: CheckedFile) -> bool:
    return file.entry.precision.startswith("float")


def _advice(file: CheckedFile) -> str:
    if not file.is_doubtful:
        if file.gate.has_integers:
            return "integers do not suit this network, or the file is wrong; `mobiledet train --qat` makes it suit"
        return f"this is no matter of precision but a wrong file; {REPORT}"
    measured = file.entry.map
    if measured is None:
        return "give --data with validation images, so that its mAP decides, or --force to ship it all the same"
    lost = f"{measured['drop']:.4f} of {measured['pytorch']:.4f} mAP"
    return f"it loses {lost}; `mobiledet train --qat` wins that back, --force ships it all the same"


def _loses_too_much(file: CheckedFile, drop: float, limit: float) -> LeftOut:
    measured = file.entry.map or {}
    return LeftOut(
        file.entry.path,
        f"mAP {measured['AP']:.4f} in place of {measured['pytorch']:.4f}, {drop:.4f} less",
        f"allow more with --max-map-drop (now {limit:g}), train with --qat, or ship it all the same with --force",
    )


def blame(files: Sequence[CheckedFile], reference: Reference, console: Console) -> None:
    """Name the layers of quantised files that lose the most, where their format can tell."""
    for file in files:
        if _float_file(file).is_file() and file.entry.precision != "float32":
            worst = to_blame(error_table(_float_file(file), file.source, reference.inputs))
            console.print(as_table(f"what loses the most in {file.entry.path}", worst))


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
