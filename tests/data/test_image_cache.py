import dataclasses
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mobiledet.data import image_cache
from mobiledet.data.coco import load_coco
from mobiledet.data.dataset import DetectionSet
from mobiledet.data.image_cache import ImageCache
from mobiledet.data.images import load_reduced
from mobiledet.data.read import load_split
from mobiledet.errors import UserError

LEAST = 30, 40


@pytest.fixture(scope="module")
def shapes(shapes_dir: Path) -> DetectionSet:
    return load_split(shapes_dir, "train")


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.npy"))


def test_second_load_reads_the_same_pixels_from_disk(
    shapes: DetectionSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ImageCache(tmp_path, *LEAST)
    first = [cache.load(image) for image in shapes.images]
    monkeypatch.setattr(image_cache, "load_reduced", None)
    for image, (pixels, size) in zip(shapes.images, first, strict=True):
        again, same = ImageCache(tmp_path, *LEAST).load(image)
        np.testing.assert_array_equal(again, pixels)
        assert same == size == (image.height, image.width)
        assert not again.flags.writeable  # a map of the file


def test_changed_picture_and_other_settings_find_nothing_old(tiny_coco: Any, tmp_path: Path) -> None:
    image = load_coco(tiny_coco.images_dir, tiny_coco.annotations).images[0]
    cache = ImageCache(tmp_path / "cache", *LEAST)
    assert cache.load(image)[0].mean() == pytest.approx(50, abs=1)
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(image.path)
    assert cache.load(image)[0].mean() == pytest.approx(90, abs=1)
    old = image.path.stat()
    os.utime(image.path, ns=(old.st_atime_ns, old.st_mtime_ns + 1))
    cache.load(image)
    assert len(files(cache.folder)) == 3
    reduced, size = ImageCache(cache.folder, 20, 20).load(image)
    assert (reduced.shape, size) == ((20, 30, 3), (40, 60))
    assert len(files(cache.folder)) == 4


@pytest.mark.parametrize("damage", [b"", b"not numpy", slice(0, 500), slice(0, 60)])
def test_damaged_file_is_written_anew(shapes: DetectionSet, tmp_path: Path, damage: bytes | slice) -> None:
    cache = ImageCache(tmp_path, *LEAST)
    pixels, _ = cache.load(shapes.images[0])
    (path,) = files(tmp_path)
    sound = path.read_bytes()
    path.write_bytes(damage if isinstance(damage, bytes) else sound[damage])
    np.testing.assert_array_equal(cache.load(shapes.images[0])[0], pixels)
    assert path.read_bytes() == sound


def test_file_with_other_content_is_not_trusted(shapes: DetectionSet, tmp_path: Path) -> None:
    cache = ImageCache(tmp_path, *LEAST)
    pixels, _ = cache.load(shapes.images[0])
    (path,) = files(tmp_path)
    for content in (np.zeros((3, 3, 3), np.uint8), pixels.astype(np.int16), np.array([{}], dtype=object)):
        np.save(path, content)
        np.testing.assert_array_equal(cache.load(shapes.images[0])[0], pixels)


def test_bad_pictures_are_errors_and_are_not_stored(tiny_coco: Any, tmp_path: Path) -> None:
    cut, other_size, gone = load_coco(tiny_coco.images_dir, tiny_coco.annotations).images
    other_size = dataclasses.replace(other_size, width=61)
    cut.path.write_bytes(cut.path.read_bytes()[:-40])
    gone.path.unlink()
    cache = ImageCache(tmp_path / "cache", *LEAST)
    for image in (cut, gone):
        with pytest.raises(UserError, match=f"cannot decode image .*{image.path.name}"):
            cache.load(image)
    assert cache.load(other_size)[1] == (40, 60)
    assert files(cache.folder) == []


def test_killed_while_filling(shapes_dir: Path, shapes: DetectionSet, tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from mobiledet.data.read import load_split\nfrom mobiledet.data.image_cache import ImageCache\n"
        "images = load_split(sys.argv[1], 'train').images\n"
        "for turn in range(10**6):\n"
        "    [ImageCache(Path(sys.argv[2]), 30 + turn, 40).load(image) for image in images]\n"
    )
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", script, str(shapes_dir), str(tmp_path)])
        before, begun = len(files(tmp_path)), time.monotonic()
        while len(files(tmp_path)) < before + 5 and time.monotonic() - begun < 60:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert len(files(tmp_path)) >= 15
    for path in files(tmp_path):
        assert np.load(path, allow_pickle=False).dtype == np.uint8  # whole
    cache = ImageCache(tmp_path, *LEAST)
    for image in shapes.images:
        np.testing.assert_array_equal(cache.load(image)[0], load_reduced(image.path, *LEAST)[0])


def test_plan_tells_the_space_and_what_is_lacking(shapes: DetectionSet, tmp_path: Path) -> None:
    cache = ImageCache(tmp_path / "new", 500, 500)
    plan = cache.plan(shapes.images)
    whole = sum(3 * image.height * image.width + 128 for image in shapes.images) / 1e9
    assert f"{len(shapes.images)} decoded images take {whole:.3g} GB, {whole:.3g} GB of it to be written" in plan
    for image in shapes.images:
        cache.load(image)
    assert sum(path.stat().st_size for path in files(cache.folder)) == pytest.approx(whole * 1e9, rel=0.01)
    assert f"take {whole:.3g} GB, 0 GB of it to be written" in cache.plan(shapes.images)


def test_disk_without_room(shapes: DetectionSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_cache.shutil, "disk_usage", lambda path: SimpleNamespace(free=10**6))
    with pytest.raises(
        UserError, match=r"needs 0\.\d+ GB more for 40 images, but its disk has only 0\.001 GB free; choose"
    ):
        ImageCache(tmp_path, 500, 500).plan(shapes.images)


def test_folder_that_cannot_be_made(shapes: DetectionSet, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = ImageCache(tmp_path / "file" / "cache", *LEAST)
    with pytest.raises(UserError, match="cannot make the image cache"):
        cache.plan(shapes.images)
    with pytest.warns(UserWarning, match="no more images are cached: cannot write"):
        pixels, _ = cache.load(shapes.images[0])
    np.testing.assert_array_equal(pixels, load_reduced(shapes.images[0].path, *LEAST)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.load(shapes.images[1])  # told once
