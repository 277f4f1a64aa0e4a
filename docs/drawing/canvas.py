"""A small SVG writer for the drawings of the documentation: the same bytes each time, so that a test can compare."""

from html import escape
from pathlib import Path

INK, PAPER, FAINT = "#222222", "#ffffff", "#9aa0a6"
COLOURS = ("#3b6fd4", "#d9822b", "#3a9a5b", "#a4559a")  # of groups of channels


class Canvas:
    """Shapes on white paper; x to the right, y downwards, in pixels."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self._head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" '
            f'height="{_n(height)}" font-family="sans-serif" font-size="13" fill="{INK}" role="img">'
            f"<title>{escape(title)}</title>"
        )
        self._parts: list[str] = []
        self.rectangle(0, 0, width, height, PAPER)

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str = INK, width: float = 1.2) -> None:
        """A straight line."""
        places = f'x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"'
        self._parts.append(f'<line {places} stroke="{colour}" stroke-width="{_n(width)}"/>')

    def arrow(self, x1: float, y1: float, x2: float, y2: float, colour: str = INK) -> None:
        """A line with a head at its end, along one of the axes."""
        self.line(x1, y1, x2, y2, colour)
        dx, dy = (x2 > x1) - (x2 < x1), (y2 > y1) - (y2 < y1)
        side_x, side_y = 4 * dy, 4 * dx
        tip = [(x2, y2), (x2 - 7 * dx + side_x, y2 - 7 * dy + side_y), (x2 - 7 * dx - side_x, y2 - 7 * dy - side_y)]
        points = " ".join(f"{_n(x)},{_n(y)}" for x, y in tip)
        self._parts.append(f'<polygon points="{points}" fill="{colour}"/>')

    def rectangle(
        self, x: float, y: float, width: float, height: float, fill: str, edge: str = "", radius: float = 0
    ) -> None:
        """A rectangle, (x, y) its top left corner."""
        outline = f' stroke="{edge}" stroke-width="1.2"' if edge else ""
        rounded = f' rx="{_n(radius)}"' if radius else ""
        places = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}"'
        self._parts.append(f'<rect {places} fill="{fill}"{outline}{rounded}/>')

    def dot(self, x: float, y: float, fill: str, radius: float = 6) -> None:
        """A disc around (x, y)."""
        self._parts.append(f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" fill="{fill}"/>')

    def text(
        self, x: float, y: float, words: str, size: float = 13, anchor: str = "middle", bold: bool = False
    ) -> None:
        """One line of words on the base line y."""
        weight = ' font-weight="bold"' if bold else ""
        place = f'x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}" font-size="{_n(size)}"'
        self._parts.append(f"<text {place}{weight}>{escape(words)}</text>")

    def box(self, x: float, y: float, width: float, height: float, words: str, fill: str = "#eef1f6") -> None:
        """A box with lines of words in its middle."""
        self.rectangle(x, y, width, height, fill, FAINT, 5)
        lines = words.split("\n")
        first = y + height / 2 + 4.5 - 8 * (len(lines) - 1)
        for number, line in enumerate(lines):
            self.text(x + width / 2, first + 16 * number, line, 12)

    def write(self, path: Path) -> None:
        """Write the drawing."""
        path.write_text("\n".join([self._head, *self._parts, "</svg>"]) + "\n", encoding="utf-8", newline="\n")


def _n(value: float) -> str:
    """A number with at most one digit behind the point."""
    return f"{value:.1f}".removesuffix(".0")
