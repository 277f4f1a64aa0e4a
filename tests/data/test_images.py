import resource
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mobiledet.data.images import (
    decode_rgb,
    list_images,
    load_reduced,
    load_rgb,
    reduced_size,
    unsupported_images,
)
from mobiledet.errors import UserError

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (30, 40, 3)).astype(np.uint8)


def test_rgb_is_kept_to_the_bit(tmp_path: Path) -> None:
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    image = load_rgb(tmp_path / "a.png")
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, PICTURE)


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", "jpg"), ("L", "png"), ("P", "png"), ("P", "gif"), ("CMYK", "jpg"), ("RGBA", "png")]
)
def test_every_kind_of_picture_becomes_rgb(tmp_path: Path, mode: str, suffix: str) -> None:
    colour = (204, 51, 102)  # in the web palette
    source = Image.new("RGB", (40, 30), colour).convert(mode)
    source.save(tmp_path / f"a.{suffix}")
    image = load_rgb(tmp_path / f"a.{suffix}")
    grey = round(0.299 * 204 + 0.587 * 51 + 0.114 * 102)  # ITU-R 601
    expected = (grey,) * 3 if mode == "L" else colour
    assert image.shape == (30, 40, 3)
    np.testing.assert_allclose(image.reshape(-1, 3), np.tile(expected, (1200, 1)), atol=3)


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 0x8000, 0xFFFF]], np.uint16)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.png")[0, :, 1], [0, 128, 255])


def test_orientation_is_applied_on_request(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: turn clockwise by 90 degrees
    Image.fromarray(PICTURE).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.png"), PICTURE)
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.png", apply_orientation=True), np.rot90(PICTURE, -1))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.999])
def test_truncated_jpeg_is_an_error_that_names_it(tmp_path: Path, share: float) -> None:
    path = tmp_path / "cut.jpg"
    Image.fromarray(PICTURE).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(UserError, match=r"cannot decode image .*cut\.jpg: ") as caught:
        load_rgb(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_other_files_are_an_error_that_names_them(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "note.jpg").write_bytes(content)
    with pytest.raises(UserError, match=r"note\.jpg"):
        load_rgb(tmp_path / "note.jpg")


def test_missing_file_and_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.jpg: no such file"):
        load_rgb(tmp_path / "none.jpg")
    with pytest.raises(UserError, match="is a directory"):
        load_rgb(tmp_path)


@pytest.mark.parametrize(
    ("least", "factor"), [((600, 800), 1), ((301, 400), 1), ((300, 400), 2), ((80, 190), 4), ((1, 1), 8)]
)
@pytest.mark.parametrize("kind", ["jpg", "png", "grey.jpg"])
def test_reduced_picture_is_about_the_mean_of_the_full_one(
    tmp_path: Path, least: tuple[int, int], factor: int, kind: str
) -> None:
    smooth = cv2.resize(RNG.integers(0, 256, (60, 80, 3)).astype(np.uint8), (801, 601))
    path = tmp_path / f"a.{kind}"
    Image.fromarray(smooth).convert("L" if "grey" in kind else "RGB").save(path, quality=95)
    pixels, original = load_reduced(path, *least)
    assert original == (601, 801)
    assert pixels.shape == (-(-601 // factor), -(-801 // factor), 3)
    assert pixels.shape[:2] == reduced_size(original, least)
    full = load_rgb(path)
    if factor == 1:
        np.testing.assert_array_equal(pixels, full)
    else:
        rows, columns = 600 // factor, 800 // factor
        blocks = full[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor, 3)
        difference = np.abs(pixels[:rows, :columns] - blocks.mean(axis=(1, 3)))
        assert difference.mean() < 1.5
        assert np.percentile(difference, 99) < 8


def test_reduced_decoding_finds_damage(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    Image.fromarray(np.tile(PICTURE, (10, 10, 1))).save(path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(UserError, match=r"cannot decode image .*cut\.jpg: "):
        load_reduced(path, 30, 40)


def _png_of_one_colour(path: Path, width: int, height: int) -> None:
    """A file of a few kilobytes for as many pixels as one likes."""
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes(1 + width)) for _ in range(height)) + rows.flush()
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", data), (b"IEND", b"")]
    content = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


def test_a_small_file_of_very_many_pixels_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    _png_of_one_colour(path, 13_300, 13_300)
    assert path.stat().st_size < 250_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=r"bomb\.png: 13300 x 13300 pixels are more than 120 million"):
        load_rgb(path)
    with pytest.raises(UserError, match="are more than 120 million"):
        decode_rgb(path.read_bytes(), "bomb.png")
    with pytest.raises(UserError, match="are more than 120 million"):
        load_reduced(path, 32, 32)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kilobytes


def test_a_size_that_is_not_wanted_is_refused_before_the_picture_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    Image.fromarray(PICTURE).save(path)
    path.write_bytes(path.read_bytes()[:60])  # the header alone
    for load in (load_rgb, lambda p, check_size: load_reduced(p, 8, 8, check_size=check_size)):
        with pytest.raises(UserError, match=r"^40 wide is odd$"):
            load(path, check_size=lambda height, width: f"{width} wide is odd")  # type: ignore[operator]


@pytest.mark.parametrize("kind", ["EPS", "ICO", "PCX", "SGI", "TGA"])
def test_formats_that_nobody_means_are_not_opened(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(PICTURE).save(path, format=kind)
    with pytest.raises(UserError, match="it is not an image of a known format"):
        load_rgb(path)


def test_list_images(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "notes.txt", "c.webp"):
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["a.png", "b.JPG", "c.webp"]
    assert list_images(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]
    with pytest.raises(UserError, match="holds no images"):
        list_images(tmp_path / "folder.jpg")
    with pytest.raises(UserError, match="cannot find"):
        list_images(tmp_path / "nothing")


def test_grey_of_many_bits_is_scaled_and_not_clipped(tmp_path: Path) -> None:
    grey = np.array([[0, 1, 64, 128, 255]], np.uint8)
    wide = grey.astype(np.int64) * 257
    floats = {"unit": grey / 255, "bytes": grey, "words": wide}
    Image.fromarray(wide.astype(np.uint16)).save(tmp_path / "16.png")
    Image.fromarray(wide.astype(np.int32)).save(tmp_path / "i32.tif")
    Image.fromarray(grey.astype(np.int32)).save(tmp_path / "i8.tif")
    for name, values in floats.items():
        Image.fromarray(values.astype(np.float32)).save(tmp_path / f"{name}.tif")
    for name in ("16.png", "i32.tif", "i8.tif", *(f"{name}.tif" for name in floats)):
        np.testing.assert_array_equal(load_rgb(tmp_path / name)[..., 0], grey, err_msg=name)


def test_numbers_that_are_none_are_black(tmp_path: Path) -> None:
    Image.fromarray(np.array([[np.nan, -3, np.inf, 1]], np.float32)).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.tif")[0, :, 0], [0, 0, 0, 255])


def test_what_is_passed_over_in_a_folder_is_known(tmp_path: Path) -> None:
    for name in ("a.jpg", "._a.jpg", "b.HEIC", "notes.txt"):
        (tmp_path / name).touch()
    assert list_images(tmp_path) == [tmp_path / "a.jpg"]
    assert unsupported_images(tmp_path) == [tmp_path / "._a.jpg", tmp_path / "b.HEIC"]
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(UserError, match=r"holds no images .*; it cannot read \._a\.jpg and its like, 2 in all"):
        list_images(tmp_path)
