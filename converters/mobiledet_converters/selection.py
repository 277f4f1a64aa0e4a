"""Selects the files for the bundle: those that detect the same objects as PyTorch and keep its mAP."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mobiledet.bundle import LeftOut
from mobiledet_converters.checks import CheckedFile
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.reference import Reference
from mobiledet_converters.tflite.error_table import as_table, error_table, worst_layers, write_table

KEPT_DROP = 0.01  # an integer file that loses no more mAP than this passes, whatever single detections do
KEPT_PART = 0.5  # unless that is more than this fraction of PyTorch's mAP, which is then too low to judge by
REPORT = "please report it with this line"
SHOWN = 10  # layers of a quantised file that are printed; the written tables have all
FLOAT_FILE = "raw.float32.tflite"  # the converter's float file, beside the others


def select(files: Sequence[CheckedFile], config: ExportConfig) -> tuple[list[CheckedFile], list[LeftOut]]:
    """The files to keep, and the files to leave out with the reason.

    An integer file whose detections differ from PyTorch's is kept only if its mAP shows that this is normal for
    quantisation; --force keeps such a file, and one that loses too much mAP. If a float file is wrong, all files of its
    format are left out: the tolerances of integer files are too wide to detect the same fault in them.

    Args:
        files: files that were checked, and measured if there are validation images.
        config: limits for the loss of mAP.
    """
    kept, left_out, with_another = [], [], []
    wrong = {file.entry.format: file.entry.path for file in reversed(files) if file.problem and _is_float(file)}
    for file in files:
        if not file.problem and file.entry.format in wrong:
            reason = f"it comes from the same conversion as {wrong[file.entry.format]}, which is wrong"
            with_another.append(LeftOut(file.entry.path, reason, REPORT))
            continue
        drop = file.entry.map["drop"] if file.entry.map else None
        is_overruled = file.is_doubtful and (config.force or _keeps_map(file))
        if file.problem and not is_overruled:
            left_out.append(LeftOut(file.entry.path, file.problem, _advice(file)))
        elif drop is not None and drop > config.max_map_drop and not config.force:
            left_out.append(_loses_too_much(file, drop, config.max_map_drop))
        else:
            kept.append(file.with_figures(overruled=file.problem) if file.problem else file)
    return kept, left_out + with_another


def _keeps_map(file: CheckedFile) -> bool:
    measured = file.entry.map
    return measured is not None and measured["drop"] <= min(KEPT_DROP, KEPT_PART * measured["pytorch"])


def _is_float(file: CheckedFile) -> bool:
    return file.entry.precision.startswith("float")


def _advice(file: CheckedFile) -> str:
    if not file.is_doubtful:
        if file.gate.has_integers:
            return "this network cannot be quantised as it is, or the file is wrong; try `mobiledet train --qat`"
        return f"the precision does not explain this: the file is wrong; {REPORT}"
    measured = file.entry.map
    if measured is None:
        return "give --data with validation images, so that its mAP decides, or --force to keep it anyway"
    lost = f"{measured['drop']:.4f} of {measured['pytorch']:.4f} mAP"
    return f"it loses {lost}; `mobiledet train --qat` recovers it, --force keeps the file anyway"


def _loses_too_much(file: CheckedFile, drop: float, limit: float) -> LeftOut:
    measured = file.entry.map or {}
    return LeftOut(
        file.entry.path,
        f"mAP {measured['AP']:.4f} instead of {measured['pytorch']:.4f}, {drop:.4f} less",
        f"allow more with --max-map-drop (now {limit:g}), train with --qat, or keep it anyway with --force",
    )


def print_worst_layers(files: Sequence[CheckedFile], reference: Reference, console: Console) -> None:
    """Print the layers of quantised files with the largest errors, for formats that allow this."""
    for file in files:
        if _float_file(file).is_file() and file.entry.precision != "float32":
            worst = worst_layers(error_table(_float_file(file), file.source, reference.inputs))
            console.print(as_table(f"largest errors in {file.entry.path}", worst))


def debug(files: Sequence[CheckedFile], reference: Reference, folder: Path, console: Console) -> None:
    """Write the error of every layer of the quantised .tflite files into a folder, and print the largest ones.

    Raises:
        UserError: the folder cannot be written.
    """
    for file in files:
        if file.entry.format != "tflite" or file.entry.precision == "float32":
            continue
        table = error_table(_float_file(file), file.source, reference.inputs)
        console.print(as_table(f"largest errors in {file.entry.path}", worst_layers(table, SHOWN)))
        written = write_table(folder, file.entry.precision, table)
        console.print(f"every layer: {', '.join(map(str, written))}", highlight=False, soft_wrap=True)


def _float_file(file: CheckedFile) -> Path:
    return file.source.parent / FLOAT_FILE
