"""Formats numbers in the same way for tables, charts and pages."""

NOT_MEASURED = "–"


def precision(value: float | None) -> str:
    """An AP or AR in 0..1 with three decimals; -1 means that the data set has no such object."""
    return NOT_MEASURED if value is None or value < 0 else f"{value:.3f}"


def milliseconds(value: float | None) -> str:
    """Three significant digits, at most three decimals: 0.123, 4.56, 78.9, 1234."""
    if value is None:
        return NOT_MEASURED
    decimals = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{decimals}f}"


def size(value: float | None) -> str:
    """Bytes with a decimal unit: 812 B, 5.5 kB, 3.21 MB."""
    if value is None:
        return NOT_MEASURED
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}"
    return f"{value:.0f} B"
