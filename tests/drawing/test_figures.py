import pytest

from mobiledet.drawing import figures


@pytest.mark.parametrize(
    ("value", "text"), [(0.12345, "0.123"), (4.567, "4.57"), (78.94, "78.9"), (1234.4, "1234"), (None, "–")]
)
def test_milliseconds(value: float | None, text: str) -> None:
    assert figures.milliseconds(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.41249, "0.412"), (0, "0.000"), (-1, "–"), (None, "–")])
def test_precision(value: float | None, text: str) -> None:
    assert figures.precision(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(812, "812 B"), (5468, "5.47 kB"), (3_210_000, "3.21 MB"), (2.5e9, "2.5 GB"), (None, "–")]
)
def test_size(value: float | None, text: str) -> None:
    assert figures.size(value) == text
