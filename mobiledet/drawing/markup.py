"""HTML and SVG in which plain text is always escaped."""

import html

VOID = frozenset({"meta", "img", "input"})  # elements without content and end tag


class Markup(str):
    """Text that is already markup."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | float | None) -> Markup:
    """An element; children that are not ``Markup`` are escaped, and so are all attributes.

    Args:
        name: name of the element.
        children: text and elements.
        attributes: ``class_`` means class and ``data_x`` means data-x; None leaves one out; numbers are rounded to
            a hundredth, which is enough for coordinates.
    """
    written = "".join(
        f' {key.strip("_").replace("_", "-")}="{html.escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>" if name in VOID else f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: str) -> Markup:
    """Concatenate children; plain text is escaped."""
    return Markup("".join(child if isinstance(child, Markup) else html.escape(child) for child in children))


def _text(value: str | float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
