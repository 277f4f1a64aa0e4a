"""The comparison of two versions as an HTML page."""

from collections.abc import Iterator

import numpy as np

from mobiledet.data.images import load_rgb
from mobiledet.drawing.figures import milliseconds, precision
from mobiledet.drawing.markup import Markup, tag
from mobiledet.drawing.page import Cell, definitions, figure, render_page, sortable_table, tile
from mobiledet.drawing.pictures import draw_detections
from mobiledet.versions.difference import CHANCE, LEVEL, RESAMPLES
from mobiledet.versions.outcome import Outcome
from mobiledet.versions.text import (
    CLASSES_NOTE,
    HEADINGS,
    change_row,
    classes_by_change,
    described,
    rows,
    signed,
    turned,
    verdict,
)
from mobiledet.versions.turned import IOU, Errors

SECTIONS = {"scores": "Scores", "classes": "Classes", "images": "Images", "method": "Method"}


def render(outcome: Outcome, show: int) -> str:
    """The page as HTML.

    Args:
        outcome: outcome of the comparison.
        show: number of images to draw.

    Raises:
        UserError: an image cannot be read.
    """
    sections = [_scores(outcome), _classes(outcome), _images(outcome, show)]
    title = verdict(outcome)
    subtitle = f"{outcome.old.name} → {outcome.new.name}, on {outcome.dataset.name}, {outcome.scores.images} images"
    return render_page(title[0].upper() + title[1:], subtitle, sections, _method(outcome), SECTIONS)


def _scores(outcome: Outcome) -> Markup:
    change, ratio = outcome.scores.map, outcome.latency
    interval = change_row("", change).interval
    tiles = [tile("mAP", signed(change.difference), f"{precision(change.old)} → {precision(change.new)}, {interval}")]
    if ratio:
        times = f"{milliseconds(ratio.old_ms)} → {milliseconds(ratio.new_ms)} ms, {ratio.low:.3f} to {ratio.high:.3f}"
        tiles.append(tile("latency, new / old", f"× {ratio.ratio:.3f}", times))
    right = f"{int(outcome.old_errors.right.sum())} → {int(outcome.new_errors.right.sum())} of {outcome.scores.images}"
    tiles.append(tile("images that turned right, wrong", turned(outcome), right))
    head = tag("thead", tag("tr", *(tag("th", heading, scope="col") for heading in HEADINGS)))
    body = tag("tbody", *(tag("tr", *(tag("td", cell) for cell in row)) for row in rows(outcome)))
    facts = definitions([("old", described(outcome.old)), ("new", described(outcome.new))])
    return tag(
        "section",
        tag("h2", "Scores"),
        tag("div", *tiles, class_="tiles"),
        tag("div", facts, class_="card"),
        tag("div", tag("table", head, body), class_="card wide"),
        tag("p", f"Latency: {outcome.no_latency}.", class_="soft") if outcome.no_latency else Markup(""),
        id="scores",
    )


def _classes(outcome: Outcome) -> Markup:
    headings = ("class", *HEADINGS[1:], "objects", "images")

    def cells() -> Iterator[Iterator[Cell]]:
        for entry in classes_by_change(outcome):
            name, *shown = change_row(entry.label, entry.ap)
            order = (entry.ap.old, entry.ap.new, entry.ap.difference, entry.ap.low)
            counts = (entry.objects, entry.images)
            yield iter([(name, name), *zip(shown, order, strict=True), *((str(n), n) for n in counts)])

    note = f"Largest loss first; {CLASSES_NOTE}."
    table = sortable_table(headings, ("class",), cells())
    return tag("section", tag("h2", "AP of each class"), tag("p", note, class_="soft"), table, id="classes")


def _images(outcome: Outcome, show: int) -> Markup:
    """The images that changed most, old beside new."""
    chosen = outcome.changed_most(show)
    if not chosen:
        return Markup("")
    more = outcome.more_errors
    note = (
        f"{int((more > 0).sum())} images have more errors than before, {int((more < 0).sum())} fewer; the largest "
        "changes are shown, losses first. White boxes are the annotated objects."
    )
    cards = [_pair(outcome, index) for index in chosen]
    title = tag("h2", "Images that changed most")
    return tag("section", title, tag("p", note, class_="soft"), tag("div", *cards, class_="cards broad"), id="images")


def _pair(outcome: Outcome, index: int) -> Markup:
    image = outcome.images[index]
    pixels = load_rgb(image.path, image.apply_orientation)
    truth = image.boxes_xyxy

    def drawn(name: str, version: str, errors: Errors) -> Markup:
        found = outcome.shown(getattr(outcome, version), errors, image.id)
        picture = draw_detections(pixels, found, getattr(outcome, version).labels, truth)
        return figure(np.asarray(picture), f"{image.path.name}, {name}", f"{name}: {_error_counts(errors, index)}")

    return tag(
        "div",
        tag("h3", image.path.name),
        tag(
            "div",
            drawn("old", "old", outcome.old_errors),
            drawn("new", "new", outcome.new_errors),
            class_="pictures",
        ),
        class_="card",
    )


def _error_counts(errors: Errors, index: int) -> str:
    missed, wrong = int(errors.missed[index]), int(errors.wrong[index])
    return f"{missed} missed, {wrong} wrong" if missed or wrong else "right"


def _method(outcome: Outcome) -> Markup:
    notes = [
        f"mAP is COCO's AP at IoU 0.50 to 0.95. Intervals contain {LEVEL:.0%} of {RESAMPLES:,} bootstrap resamples of "
        "the images, the same images for both versions, so that images that are hard for both cancel out.",
        "The new version is worse if it exceeds a given limit and chance does not explain this: the interval excludes "
        "zero, and versions that are swapped at random, image by image, lose as much in at most "
        f"{CHANCE:.2%} of the draws.",
        f"An image is right if every object is detected at IoU {IOU:g} and there are no other detections. Detections "
        "count from the score of the best F1 of each class and version on, or from the given score.",
    ]
    return tag(
        "section",
        tag("h2", "Method"),
        *(tag("p", note) for note in notes),
        tag("ul", *(tag("li", note) for note in outcome.notes)),
        id="method",
    )
