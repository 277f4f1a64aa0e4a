"""The template of a report: one HTML page that needs no network and no other file."""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files

import numpy as np
from PIL import Image

from mobiledet.drawing.markup import Markup, join, tag

# the browser refuses to load anything from outside the page
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
PICTURE_SIDE = 720
PICTURE_QUALITY = 82

Cell = tuple[str, float | str | None]  # shown text and sort key


def render_page(title: str, subtitle: str, sections: Sequence[Markup], footer: Markup, names: Mapping[str, str]) -> str:
    """The page as HTML.

    Args:
        title: the title.
        subtitle: a line below it.
        sections: ``section`` elements; they may be empty.
        footer: the last section.
        names: names of the links at the top of the page by the id of their section, in this order; those that are not
            there get no link.
    """
    body = join(*sections, footer)
    links = [tag("a", name, href=f"#{key}") for key, name in names.items() if f'id="{key}"' in body]
    package = files("mobiledet.drawing")
    head = join(
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("title", title),
        tag("style", Markup((package / "page.css").read_text(encoding="utf-8"))),
    )
    header = tag("header", tag("h1", title), tag("p", subtitle, class_="soft"), tag("nav", *links))
    script = tag("script", Markup((package / "page.js").read_text(encoding="utf-8")))
    page = tag(
        "html", tag("head", head), tag("body", header, tag("main", *sections), tag("footer", footer), script), lang="en"
    )
    return f"<!doctype html>\n{page}\n"


def definitions(facts: Iterable[tuple[str, str]]) -> Markup:
    """A definition list of names and values."""
    return tag("dl", *(join(tag("dt", name), tag("dd", value)) for name, value in facts))


def tile(name: str, value: str, note: str) -> Markup:
    """A box with a figure in large print."""
    return tag("div", tag("span", name), tag("b", value), tag("span", note), class_="tile")


def plain_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """A table of texts."""
    head = tag("thead", tag("tr", *(tag("th", heading, scope="col") for heading in headings)))
    body = tag("tbody", *(tag("tr", *(tag("td", cell) for cell in row)) for row in rows))
    return tag("div", tag("table", head, body), class_="wide")


def sortable_table(headings: Sequence[str], text: Sequence[str], rows: Iterable[Iterable[Cell]]) -> Markup:
    """A table that can be sorted by clicking on a heading, with a field above it that filters the rows.

    Args:
        headings: headings of the columns.
        text: headings of the columns that contain text.
        rows: a cell for each heading.
    """
    head = [
        tag("th", tag("button", h, type="button"), scope="col", data_first="ascending" if h in text else None)
        for h in headings
    ]
    body = [tag("tr", *map(_cell, row)) for row in rows]
    table = tag("table", tag("thead", tag("tr", *head)), tag("tbody", *body), class_="sortable")
    field = tag("input", type="search", placeholder="filter: words of a row", aria_label="filter the rows")
    count = tag("span", class_="soft", aria_live="polite")
    return tag("div", tag("label", field, count, class_="filter"), tag("div", table, class_="card wide"), class_="rows")


def _cell(cell: Cell) -> Markup:
    shown, order = cell
    value = "" if order is None else order if isinstance(order, str) else repr(order)
    return tag("td", shown, data_value=value, class_="left" if isinstance(order, str) else None)


def figure(image: np.ndarray, alt: str, caption: str) -> Markup:
    """An image (height x width x 3 uint8 RGB) embedded in the page, at most 720 pixels wide or high."""
    picture = Image.fromarray(image)
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=PICTURE_QUALITY)
    source = "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
    return tag("figure", tag("img", src=source, alt=alt, loading="lazy"), tag("figcaption", caption))
