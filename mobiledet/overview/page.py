"""The HTML page of ``mobiledet data``: counts, sizes, duplicates, suspicious labels and advice."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from mobiledet.data.dataset import DetectionSet
from mobiledet.drawing.markup import Markup, join, tag
from mobiledet.drawing.page import Cell, definitions, figure, render_page, sortable_table, tile
from mobiledet.overview.labels import KINDS
from mobiledet.overview.measure import ClassFacts, CopyFacts, Overview, PartFacts
from mobiledet.overview.sheets import class_sheets, suspicion_sheets

SECTIONS = {
    "advice": "Advice",
    "classes": "Classes",
    "sizes": "Sizes",
    "pictures": "Images",
    "copies": "Duplicates",
    "suspicious": "Suspicious labels",
    "bad": "Bad data",
    "look": "Every class",
}
BAR_WIDTH = 100
MAX_LINES = 40


def render(overview: Overview, parts: Sequence[DetectionSet]) -> str:
    """The page as HTML."""
    shape = f"{overview.height} x {overview.width} ({overview.resize})"
    subtitle = f"read as {overview.format}; sizes at {shape} for {overview.detector}"
    sections = [
        tag("section", _tiles(overview)),
        _advice(overview.advice),
        _classes(overview.classes, [part.name for part in overview.parts]),
        _sizes(overview),
        _pictures(overview.parts),
        _copies(overview.copies),
        _suspicious(overview, parts),
        _bad(overview),
        _look(parts[0]),
    ]
    footer = tag("section", definitions(_facts(overview)), id="about")
    return render_page(overview.name, subtitle, sections, footer, SECTIONS)


def _tiles(overview: Overview) -> Markup:
    tiles = [
        tile(part.name, f"{part.images:,} images", f"{part.boxes:,} boxes, {part.empty_images:,} images without")
        for part in overview.parts
    ]
    left_out = sum(part.left_out for part in overview.parts) + len(overview.undecodable)
    tiles.append(tile("classes", str(len(overview.classes)), f"{sum(p.crowds for p in overview.parts):,} crowd boxes"))
    tiles.append(tile("bad entries", f"{left_out:,}", "left out of training and score"))
    tiles.append(tile("suspicious labels", f"{len(overview.suspicions):,}", "to be checked"))
    return tag("div", *tiles, class_="tiles")


def _advice(advice: Sequence[str]) -> Markup:
    lines = [tag("li", text) for text in advice] or [tag("li", "No problems found.")]
    return tag("section", tag("h2", "Advice"), tag("div", tag("ul", *lines), class_="card"), id="advice")


def _classes(classes: Sequence[ClassFacts], names: Sequence[str]) -> Markup:
    headings = ("class", *names, "share", "median width", "median height")
    total = max(1, sum(sum(fact.boxes.values()) for fact in classes))
    table = sortable_table(headings, ("class",), (_class_cells(fact, total) for fact in classes))
    note = "Boxes of each class, crowds left out; median sides in pixels of the input."
    return tag("section", tag("h2", "Classes"), tag("p", note, class_="soft"), table, id="classes")


def _class_cells(fact: ClassFacts, total: int) -> Iterator[Cell]:
    yield fact.name, fact.name
    for count in fact.boxes.values():
        yield f"{count:,}", count
    share = sum(fact.boxes.values()) / total
    yield f"{share:.1%}", share
    for side in (fact.median_width, fact.median_height):
        yield ("–" if side is None else f"{side:.0f}"), side


def _sizes(overview: Overview) -> Markup:
    cards = []
    for part in overview.parts:
        below = {name: int(count) for name, count in part.shorter_sides.items() if name != "median"}
        words = ", ".join(
            f"{count:,} ({count / max(1, part.boxes):.1%}) {name} pixels" for name, count in below.items()
        )
        notes = [tag("p", f"Shorter sides: {words}." if words else "No boxes.", class_="soft")]
        if part.anchors:
            strides = ", ".join(map(str, part.anchors.strides))
            notes.append(
                tag(
                    "p",
                    f"Anchors of {overview.detector} (strides {strides}): {part.anchors.below_half:.1%} of "
                    f"{part.anchors.boxes:,} boxes have no anchor with an IoU of 0.5, and "
                    f"{part.anchors.below_fifth:.1%} none with 0.2; only their nearest anchor is trained on them.",
                    class_="soft",
                )
            )
        cards.append(
            tag(
                "div",
                tag("h3", part.name),
                *notes,
                tag("h3", "shorter side, pixels of the input"),
                _bars(part.shorter_sides_histogram),
                tag("h3", "width over height"),
                _bars(part.aspect_ratio_histogram),
                class_="card",
            )
        )
    return tag("section", tag("h2", "Sizes of boxes"), tag("div", *cards, class_="cards broad"), id="sizes")


def _pictures(parts: Sequence[PartFacts]) -> Markup:
    cards = []
    for part in parts:
        sizes = list(part.picture_sizes.items())
        shown = dict(sizes[:8])
        if len(sizes) > 8:
            shown["others"] = sum(count for _, count in sizes[8:])
        stats = part.boxes_per_image
        cards.append(
            tag(
                "div",
                tag("h3", part.name),
                tag("h3", "size"),
                _bars(shown),
                tag("h3", "shape"),
                _bars(part.orientations),
                tag(
                    "h3",
                    f"boxes per image: mean {stats['mean']:.1f}, median {stats['median']:g}, most {stats['most']:g}",
                ),
                _bars(part.boxes_per_image_histogram),
                class_="card",
            )
        )
    return tag("section", tag("h2", "Images"), tag("div", *cards, class_="cards broad"), id="pictures")


def _bars(counts: Mapping[str, int]) -> Markup:
    """A table with a name, a bar and a number in each row."""
    most = max([1, *counts.values()])
    total = max(1, sum(counts.values()))
    rows = []
    for name, count in counts.items():
        bar = tag("rect", x=0, y=2, width=float(BAR_WIDTH * count / most), height=10)
        drawing = tag(
            "svg", bar, class_="histogram row", viewBox=f"0 0 {BAR_WIDTH} 14", preserveAspectRatio="none", role="img"
        )
        cells = (tag("td", name, class_="left"), tag("td", drawing), tag("td", f"{count:,} ({count / total:.1%})"))
        rows.append(tag("tr", *cells))
    return tag("table", tag("tbody", *rows), class_="bars")


def _copies(copies: CopyFacts) -> Markup:
    facts = [
        ("identical files", f"{copies.exact_within:,} within a split, {copies.exact_across:,} across splits"),
        ("near duplicates", f"{copies.near_within:,} pairs within a split, {copies.near_across:,} across splits"),
        (
            "frames of one series across splits",
            f"{copies.leaking_frames:,} pairs {', '.join(copies.leaking_prefixes[:6])}",
        ),
    ]
    groups = [" = ".join(group) for group in copies.exact_groups] + [" ≈ ".join(pair) for pair in copies.near_pairs]
    return tag(
        "section",
        tag("h2", "Duplicates"),
        tag("div", definitions(facts), _listed(groups), class_="card"),
        id="copies",
    )


def _suspicious(overview: Overview, parts: Sequence[DetectionSet]) -> Markup:
    sheets = suspicion_sheets(overview.suspicions, parts)
    figures = [
        tag("div", tag("h3", f"{kind}: {count:,}, {KINDS[kind]}"), _wide_figure(sheet, f"boxes: {kind}"), class_="card")
        for kind, (sheet, count) in sheets.items()
    ]
    content = figures or [tag("p", "None.", class_="soft")]
    return tag("section", tag("h2", "Suspicious labels"), *content, id="suspicious")


def _bad(overview: Overview) -> Markup:
    cards = []
    for part in overview.parts:
        if part.left_out or part.notes:
            counted = [(reason, f"{count:,}") for reason, count in part.left_out_by_reason.items()]
            notes = [tag("p", note) for note in part.notes]
            cards.append(
                tag(
                    "div",
                    tag("h3", part.name),
                    *notes,
                    definitions(counted),
                    _listed(part.left_out_list),
                    class_="card",
                )
            )
    if overview.undecodable:
        title = f"{len(overview.undecodable):,} images cannot be decoded"
        cards.append(tag("div", tag("h3", title), _listed(overview.undecodable), class_="card"))
    if not cards:
        return Markup("")
    return tag("section", tag("h2", "Bad data and notes"), *cards, id="bad")


def _listed(lines: Sequence[str]) -> Markup:
    if not lines:
        return Markup("")
    more = len(lines) - MAX_LINES
    items = [tag("li", line) for line in lines[:MAX_LINES]]
    if more > 0:
        items.append(tag("li", f"and {more:,} more; --json has them"))
    return tag("details", tag("summary", f"{len(lines):,} listed"), tag("ul", *items))


def _look(part: DetectionSet) -> Markup:
    figures = [
        tag("div", tag("h3", f"{name}: {count:,} boxes"), _wide_figure(sheet, f"boxes of {name}"), class_="card")
        for name, (sheet, count) in class_sheets(part).items()
    ]
    note = "Boxes from all over the first split, each with its surroundings; all boxes there are drawn."
    return tag("section", tag("h2", "Every class"), tag("p", note, class_="soft"), *figures, id="look")


def _wide_figure(sheet: np.ndarray, alt: str) -> Markup:
    return figure(sheet, alt, "")


def _facts(overview: Overview) -> Iterator[tuple[str, str]]:
    yield "format", overview.format
    for part in overview.parts:
        yield part.name, join(f"{part.images} images, {part.boxes} boxes")
