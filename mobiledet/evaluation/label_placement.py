"""Places labels beside the markers of a chart, without overlaps."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

LETTER_WIDTH = 6.7  # average, for 12 px text
LETTER_HEIGHT = 14.0


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels, y downwards."""

    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other: "Box") -> bool:
        """Whether the boxes share more than an edge."""
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )

    def contains(self, other: "Box") -> bool:
        """Whether the other box lies inside this one, edges included."""
        return (
            self.x <= other.x
            and self.y <= other.y
            and other.x + other.width <= self.x + self.width
            and other.y + other.height <= self.y + self.height
        )


def place_labels(
    names: Sequence[str], centers: Sequence[tuple[float, float]], mark: float, area: Box
) -> list[Box | None]:
    """Place each label right, left, above or below its marker, at the first free position.

    Args:
        names: labels, most important first.
        centers: centre (x, y) of each label's marker.
        mark: half the side of a marker.
        area: the area in which labels must stay.

    Returns:
        the box of each label, or None if every position would cover another marker or label.
    """
    taken = [Box(x - mark, y - mark, 2 * mark, 2 * mark) for x, y in centers]
    placed: list[Box | None] = []
    for name, (x, y) in zip(names, centers, strict=True):
        width, height, gap = len(name) * LETTER_WIDTH, LETTER_HEIGHT, mark + 4
        corners = [
            (x + gap, y - height / 2),
            (x - gap - width, y - height / 2),
            *itertools.product((x - width / 2, x, x - width), (y - gap - height, y + gap)),
        ]
        boxes = (Box(left, top, width, height) for left, top in corners)
        free = (b for b in boxes if area.contains(b) and not any(b.overlaps(other) for other in taken))
        placed.append(next(free, None))
        if placed[-1]:
            taken.append(placed[-1])
    return placed
