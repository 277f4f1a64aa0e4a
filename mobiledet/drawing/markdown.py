"""Markdown with escaped external texts."""

import re
from collections.abc import Iterable, Sequence

SPECIAL = re.compile(r"[\\`*\[\]<>&#!~]|_(?=\W|$)|(?<!\w)_")  # of Markdown, and of HTML within it


def plain(text: str) -> str:
    """Escape an external text: one line without markup, HTML or links."""
    line = "".join(character if character.isprintable() else " " for character in " ".join(text.split()))
    return SPECIAL.sub(lambda match: f"&#{ord(match[0])};", line).replace("|", r"\|")


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; the cells are external texts, which are escaped, the headings are ours."""
    lines = [headings, ("---",) * len(headings), *([plain(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
