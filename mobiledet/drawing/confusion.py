"""The confusion matrix as an HTML table."""

from collections.abc import Iterator, Mapping, Sequence

from mobiledet.drawing.markup import Markup, tag
from mobiledet.drawing.page import plain_table

MATRIX_CLASSES = 12  # with more classes, the most frequent confusions are listed instead
LISTED = 12
CONFUSION_TITLE = "Confusion: rows are objects, columns are detected classes"


def confusion_table(counts: Mapping[tuple[int, int], int], labels: Sequence[str]) -> Markup:
    """A matrix with a row and a column for background, or for many classes a list of the most frequent confusions.

    Args:
        counts: number of objects of a class (first) that are detected as a class (second). The number of classes stands
            for background: a detection without an object, or an object without a detection.
        labels: of the classes.
    """
    names = [*labels, "background"]
    if len(labels) > MATRIX_CLASSES:
        confused = [(pair, count) for pair, count in counts.items() if pair[0] != pair[1] and max(pair) < len(labels)]
        confused.sort(key=lambda entry: -entry[1])
        if not confused:
            return tag("p", "No classes are confused.", class_="soft")
        rows = [(names[truth], names[found], f"{count}") for (truth, found), count in confused[:LISTED]]
        return plain_table(("object", "detected as", "count"), rows)
    totals = [sum(count for (row, _), count in counts.items() if row == truth) for truth in range(len(names))]
    head = tag("thead", tag("tr", tag("th", ""), *(tag("th", name, scope="col") for name in names)))
    body = [
        tag("tr", tag("th", name, scope="row"), *_cells(truth, counts, totals[truth], len(names)))
        for truth, name in enumerate(names)
    ]
    return tag("div", tag("table", head, tag("tbody", *body), class_="matrix"), class_="wide")


def _cells(truth: int, counts: Mapping[tuple[int, int], int], total: int, size: int) -> Iterator[Markup]:
    for found in range(size):
        count = counts.get((truth, found), 0)
        both = truth == found == size - 1  # background detected as background is not counted
        yield tag("td", "" if both else f"{count}", style=f"--share:{100 * count / max(total, 1):.0f}%")
