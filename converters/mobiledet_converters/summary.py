"""The summary at the end of an export: a table of at most 80 columns, and last the files that were left out."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from mobiledet.bundle import VISION, Bundle, ModelFile
from mobiledet.recommended import recommended_text

INTERPRETED = "i"  # marks a file that was run by an interpreter, not by a runtime of its format
OFF_DEVICE = "a"  # marks a file that was run in Apple's runtime, but on this processor


def print_summary(bundle: Bundle, unmeasured: str, console: Console) -> None:
    """Print the content of the bundle.

    Args:
        bundle: the written bundle.
        unmeasured: why mAP was not measured; empty if it was.
        console: console to print to.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("file", no_wrap=True)
    for column in ("MB", "mAP", "change", "as PyTorch", "score"):
        table.add_column(column, justify="right", no_wrap=True)
    measured = next((file.map for file in bundle.files if file.map), None)
    if measured:
        table.add_row("PyTorch", "", f"{measured['pytorch']:.4f}", "", "", "")
    for file in bundle.files:
        table.add_row(*_row(file))
    console.print(table)
    if measured:
        console.print(f"mAP: {measured['images']} images of {measured['dataset']}", highlight=False)
    else:
        console.print(f"mAP: not measured, {unmeasured}", highlight=False)
    if any(file.format == "coreml" for file in bundle.files):
        console.print(
            f"{INTERPRETED}: run by the reference interpreter, for there is no Core ML runtime outside Apple systems",
            highlight=False,
        )
    if any(file.format == "coreai" for file in bundle.files):
        console.print(
            f"{OFF_DEVICE}: run in Apple's runtime on this processor; how Apple's accelerators compute it is unknown",
            highlight=False,
        )
    for note in letterbox_notes(bundle):
        console.print(note, highlight=False, soft_wrap=True)
    console.print(f"recommended: {recommended_text(bundle.recommended)}", highlight=False)
    console.print(f"bundle: {bundle.path}", highlight=False, soft_wrap=True)


def print_left_out(bundle: Bundle, console: Console) -> None:
    """Print the files that were left out; called last."""
    for missing in bundle.left_out:
        console.print(str(missing), style="yellow", highlight=False, soft_wrap=True)


def letterbox_notes(bundle: Bundle) -> Iterator[str]:
    """A line for each framework that does not resize images as a letterbox model needs them."""
    if bundle.spec.input.resize == "stretch":
        return
    rule = bundle.spec.input.resize_text
    if any(file.format == "tflite" for file in bundle.files):
        yield f"MediaPipe's ObjectDetector stretches images, this model needs a {rule}: letterbox them first"
    if any(file.face == VISION for file in bundle.files):
        yield f"Vision: set imageCropAndScaleOption = .scaleFit; its padding differs, this model needs a {rule}"


def _row(file: ModelFile) -> tuple[str, ...]:
    parity: dict[str, Any] = file.parity or {}
    marks = {"coreml": f" {INTERPRETED}", "coreai": f" {OFF_DEVICE}"}
    mark = marks.get(file.format, "")
    ap, change = (f"{file.map['AP']:.4f}", f"{-file.map['drop']:+.4f}") if file.map else ("", "")
    return (
        file.path + mark,
        f"{file.bytes / 1e6:.2f}",
        ap,
        change,
        f"{parity['matched']} of {parity['expected']}",
        f"±{parity['largest_score_difference']:.0e}",
    )
