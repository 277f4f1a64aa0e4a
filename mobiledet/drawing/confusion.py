"""Which classes are taken for which, as a table of a page."""

from collections.abc import Iterator, Mapping, Sequence

from mobiledet.drawing.markup import Markup, tag
from mobiledet.drawing.page import plain_table

MATRIX_CLASSES = 12  # of more the commonest confusions are listed
LISTED = 12
CONFUSION_TITLE = "Confusion: rows are objects, columns what they are found as"


def confusion_table(counts: Mapping[tuple[int, int], int], labels: Sequence[str]) -> Markup:
    """A matrix with a row and a column for background, or for many classes a list of the commonest confusions.

    Args:
        counts: how often objects of a class (first) are found as one of another (second); the number of classes stands
            for background: found where nothing is, or not found.
        labels: of the classes.
    """
    names = [*labels, "background"]
    if len(labels) > MATRIX_CLASSES:
        confused = [(pair, count) for pair, count in counts.items() if pair[0] != pair[1] and max(pair) < len(labels)]
        confused.sort(key=lambda entry: -entry[1])
        if not confused:
            return tag("p", "No class is taken for another.", class_="soft")
        rows = [(names[truth], names[found], f"{count}") for (truth, found), count in confused[:LISTED]]
        return plain_table(("object", "found as", "times"), rows)
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
        both = truth == found == size - 1  # background that is found as such is not counted
        yield tag("td", "" if both else f"{count}", style=f"--share:{100 * count / max(total, 1):.0f}%")
