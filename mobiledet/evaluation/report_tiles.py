"""The section of the report on the gain and the cost of tiles."""

from collections.abc import Iterator, Sequence

from mobiledet.drawing.figures import NOT_MEASURED, milliseconds, precision
from mobiledet.drawing.markup import Markup, tag
from mobiledet.drawing.page import Cell, sortable_table
from mobiledet.evaluation.comparison import short_names
from mobiledet.evaluation.result import Accuracy, Result, TiledAccuracy

HEADINGS = ("model", "tiles", "mAP without", "mAP", "change", "small", "medium", "large", "runs an image")
TIMES = ("ms without", "ms an image", "times as long")


def tiles(results: Sequence[Result]) -> Markup:
    """A table with a row for each result with tiles: mAP without and with them, and the change of AP by object size."""
    rows = [
        list(_cells(name, result.accuracy, result.accuracy.tiles))
        for name, result in zip(short_names(results), results, strict=True)
        if result.accuracy and result.accuracy.tiles
    ]
    if not rows:
        return Markup("")
    note = (
        "The file ran on tiles of each image and on the whole image; the same run scored the whole images alone. "
        "Small, medium and large are changes of AP; COCO counts the best 100 detections of an image. The time is the "
        "mean for one image, from file to boxes."
    )
    table = sortable_table([*HEADINGS, *TIMES], HEADINGS[:2], rows)
    return tag("section", tag("h2", "Tiles"), tag("p", note, class_="soft"), table, id="tiles")


def _cells(name: str, accuracy: Accuracy, tiled: TiledAccuracy) -> Iterator[Cell]:
    before, after = tiled.whole_metrics, accuracy.metrics
    yield name, name
    yield str(tiled), str(tiled)
    for metrics in (before, after):
        yield precision(metrics.AP), metrics.AP
    for number in ("AP", "APs", "APm", "APl"):
        old, new = getattr(before, number), getattr(after, number)
        yield (f"{new - old:+.3f}".replace("-", "−"), new - old) if min(old, new) >= 0 else (precision(None), None)
    yield f"{tiled.runs:.1f}", tiled.runs
    yield milliseconds(tiled.whole_ms), tiled.whole_ms
    yield milliseconds(accuracy.image_ms), accuracy.image_ms
    share = accuracy.image_ms / tiled.whole_ms if accuracy.image_ms and tiled.whole_ms else None
    yield NOT_MEASURED if share is None else f"{share:.1f} ×", share
