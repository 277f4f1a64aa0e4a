"""The axes of an SVG chart; colours come from the page's style sheet."""

from dataclasses import dataclass

from mobiledet.drawing.axis import Axis
from mobiledet.drawing.markup import Markup, join, tag

LEFT, RIGHT, TOP, BOTTOM = 52, 16, 16, 44


@dataclass(frozen=True)
class Frame:
    """Two axes on a rectangle of width x height CSS pixels, y downwards."""

    x_axis: Axis
    y_axis: Axis
    width: int
    height: int

    def x(self, value: float) -> float:
        """The x coordinate of a value in pixels, clipped to the axis."""
        share = self.x_axis.place(max(value, self.x_axis.low))
        return LEFT + (self.width - LEFT - RIGHT) * min(1.0, share)

    def y(self, value: float) -> float:
        """The y coordinate of a value in pixels, clipped at the upper end of the axis."""
        return self.height - BOTTOM - (self.height - TOP - BOTTOM) * min(1.0, self.y_axis.place(value))

    def grid(self, x_name: str, y_name: str, y_format: str = "g") -> Markup:
        """Lines and numbers at the ticks, and the names of the axes."""
        bottom, right = self.height - BOTTOM, self.width - RIGHT
        parts = []
        for value in self.y_axis.ticks:
            y = self.y(value)
            parts.append(tag("line", x1=LEFT, x2=right, y1=y, y2=y, class_="grid"))
            parts.append(tag("text", f"{value:{y_format}}", x=LEFT - 8, y=y + 4, text_anchor="end", class_="tick"))
        for value in self.x_axis.ticks:
            x = self.x(value)
            parts.append(tag("line", x1=x, x2=x, y1=TOP, y2=bottom, class_="grid"))
            parts.append(tag("text", f"{value:g}", x=x, y=bottom + 18, text_anchor="middle", class_="tick"))
        parts.append(tag("text", x_name, x=right, y=self.height - 6, text_anchor="end", class_="axis"))
        parts.append(tag("text", y_name, x=LEFT, y=TOP - 5, class_="axis"))
        return join(*parts)
