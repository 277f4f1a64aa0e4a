"""Renders a model card as Markdown and as an HTML page; every text is escaped."""

from collections.abc import Iterator

from mobiledet.drawing.markdown import plain, table
from mobiledet.drawing.markup import Markup, tag
from mobiledet.drawing.page import definitions, render_page
from mobiledet.model_card.card import Card, Section, Table


def markdown(card: Card) -> str:
    """The card in Markdown."""
    return "\n".join(_markdown_lines(card)) + "\n"


def page(card: Card) -> str:
    """The card as a self-contained HTML page."""
    sections = [_section(section) for section in card.sections]
    names = {section.key: section.heading for section in card.sections}
    footer = tag("p", "Written by mobiledet card. What no file tells stands here as not recorded or not measured.")
    return render_page(card.title, card.subtitle, sections, footer, names)


def _markdown_lines(card: Card) -> Iterator[str]:
    yield f"# {plain(card.title)}\n\n{plain(card.subtitle)}"
    for section in card.sections:
        yield f"\n## {plain(section.heading)}\n"
        yield from (f"- **{plain(name)}**: {plain(value)}" for name, value in section.facts)
        for each in section.tables:
            if each.title:
                yield f"\n{plain(each.title)}\n"
            yield table([plain(heading) for heading in each.headings], each.rows)
        yield from (f"- {plain(note)}" for note in section.notes)


def _section(section: Section) -> Markup:
    facts = tag("div", definitions(section.facts), class_="card") if section.facts else Markup("")
    notes = tag("ul", *(tag("li", note) for note in section.notes)) if section.notes else Markup("")
    return tag("section", tag("h2", section.heading), facts, *map(_table, section.tables), notes, id=section.key)


def _table(each: Table) -> Markup:
    head = tag("thead", tag("tr", *(tag("th", heading, scope="col") for heading in each.headings)))
    body = tag("tbody", *(tag("tr", *(tag("td", cell) for cell in row)) for row in each.rows))
    title = tag("h3", each.title) if each.title else Markup("")
    return tag("div", title, tag("div", tag("table", head, body), class_="wide"), class_="card")
