"""What stands on a model card, whatever it is drawn with."""

from dataclasses import dataclass

NOT_RECORDED = "not recorded"
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Table:
    """Rows of texts.

    Attributes:
        headings: of the columns.
        rows: a text for each heading.
        title: above it; may be empty.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the card.

    Attributes:
        key: by which a page links to it.
        heading: of the part.
        facts: names and what they stand for.
        tables: below them.
        notes: sentences below all.
    """

    key: str
    heading: str
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Card:
    """The card.

    Attributes:
        title: name of the model.
        subtitle: what it is, in a line.
        sections: its parts, in order.
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]
