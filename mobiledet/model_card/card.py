"""The content of a model card, independent of its format."""

from dataclasses import dataclass

NOT_RECORDED = "not recorded"
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        headings: headings of the columns.
        rows: rows, with a text for each heading.
        title: title above the table; may be empty.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""


@dataclass(frozen=True)
class Section:
    """A section of the card.

    Attributes:
        key: identifier for links in the page.
        heading: heading of the section.
        facts: names and values.
        tables: tables below the facts.
        notes: sentences below the tables.
    """

    key: str
    heading: str
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Card:
    """A model card.

    Attributes:
        title: name of the model.
        subtitle: description of the model in a line.
        sections: the sections, in order.
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]
