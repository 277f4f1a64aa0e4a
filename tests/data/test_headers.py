"""Which EXIF orientation is applied, and that decoding does what the header promises."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobiledet.data.headers import Header, Reading, choose_reading, read_header, read_headers
from mobiledet.data.images import load_reduced, load_rgb
from mobiledet.errors import UserError

PICTURE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
UPRIGHT, TURNED, EITHER, NONE = (64, 48), (48, 64), (0, 0), (50, 50)


def applied(tag: int, annotated: tuple[int, int], exif: str) -> tuple[bool, bool] | None:
    """Whether the tag is applied, and whether both ways fit; None if neither does."""
    reading = choose_reading(Header(64, 48, tag), *annotated, exif)  # type: ignore[arg-type]
    return (reading.apply_orientation, reading.fits_both) if isinstance(reading, Reading) else None


@pytest.mark.parametrize(
    ("tag", "annotated", "auto", "apply", "ignore"),
    [
        (1, UPRIGHT, (False, False), (False, False), (False, False)),
        (1, TURNED, None, None, None),
        (1, EITHER, (False, False), (False, False), (False, False)),
        (2, UPRIGHT, (True, True), (True, True), (False, True)),
        (3, UPRIGHT, (True, True), (True, True), (False, True)),
        (4, EITHER, (True, True), (True, True), (False, True)),
        (6, UPRIGHT, (False, False), None, (False, False)),
        (6, TURNED, (True, False), (True, False), None),
        (8, EITHER, (True, True), (True, True), (False, True)),
        (5, NONE, None, None, None),
    ],
)
def test_rule(tag: int, annotated: tuple[int, int], auto: object, apply: object, ignore: object) -> None:
    assert [applied(tag, annotated, exif) for exif in ("auto", "apply", "ignore")] == [auto, apply, ignore]


def test_square_pictures_fit_both_ways() -> None:
    assert choose_reading(Header(64, 64, 6), 64, 64, "auto") == Reading(64, 64, True, True)


def test_contradictions_name_the_orientation_and_what_to_do() -> None:
    text = choose_reading(Header(64, 48, 6), 64, 48, "apply")
    assert isinstance(text, str)
    assert "EXIF orientation 6" in text
    assert "--exif ignore would match" in text


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_header_promises_what_decoding_gives(tag: int, suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = tag
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(PICTURE).save(path, exif=exif)
    header = read_header(path)
    assert header == Header(64, 48, tag)
    for apply in (False, True):
        size = (48, 64) if apply and header.is_turned else (64, 48)
        pixels = load_rgb(path, apply)
        assert pixels.shape[1::-1] == size
        reduced, original = load_reduced(path, 12, 12, apply)
        assert original == pixels.shape[:2]
        assert reduced.shape[:2] == tuple(side // 4 for side in original)
        # the reduced picture is turned in the same way
        mean = pixels.reshape(original[0] // 4, 4, original[1] // 4, 4, 3).mean(axis=(1, 3))
        assert np.abs(mean - reduced).mean() < 12


def test_files_that_cannot_be_read_are_errors_in_their_places(tmp_path: Path) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    found = read_headers([tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png"])
    assert found[0] == Header(64, 48)
    assert [isinstance(header, UserError) for header in found] == [False, True, True]
