"""Slices from the file to the report: small squares in large pictures, which the whole picture does not show."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mobiledet
from mobiledet import cli
from mobiledet.bundle import Bundle
from mobiledet.data.read import load_split
from mobiledet.devices.local import LocalDevice
from mobiledet.errors import UserError
from mobiledet.evaluation.report import render
from mobiledet.evaluation.result import read_result
from mobiledet.evaluation.run import evaluate
from mobiledet.evaluation.tables import write_csv, write_markdown
from mobiledet.evaluation.tiles import Tiling, parse_tiling

WIDTH, HEIGHT, SIDE = 512, 384, 8  # slices of the model's 64 pixels show a square of 8 as a cell
GRID = Tiling(64, 64, 0.0)


@pytest.fixture(scope="module")
def aerial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three large pictures in COCO's layout: small squares, and one in the last that the whole picture shows, too."""
    folder = tmp_path_factory.mktemp("aerial") / "aerial"
    (folder / "val2017").mkdir(parents=True)
    (folder / "annotations").mkdir()
    rng = np.random.default_rng(1)
    images, annotations = [], []
    for index in range(3):
        pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        places = rng.choice(HEIGHT // SIDE * WIDTH // SIDE, 25, replace=False)
        boxes = [(int(p) % (WIDTH // SIDE) * SIDE, int(p) // (WIDTH // SIDE) * SIDE, SIDE, SIDE) for p in places]
        if index == 2:
            boxes = [(64, 48, 64, 48)]
        for left, top, wide, tall in boxes:
            label = int(rng.integers(3))
            pixels[top : top + tall, left : left + wide, label] = 250
            box = {"bbox": [left, top, wide, tall], "area": wide * tall, "iscrowd": 0}
            ids = {"id": len(annotations) + 1, "image_id": index, "category_id": (3, 5, 9)[label]}
            annotations.append({**ids, **box})
        Image.fromarray(pixels).save(folder / "val2017" / f"{index}.png")
        images.append({"id": index, "file_name": f"{index}.png", "width": WIDTH, "height": HEIGHT})
    categories = [{"id": i, "name": name} for i, name in zip((3, 5, 9), ("red", "green", "blue"), strict=True)]
    listing = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(listing))
    return folder


def test_what_slices_bring_is_recorded_and_reported(
    patch_bundle: Bundle,
    aerial: Path,
    tmp_path: Path,
    parse: Callable[[str], Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    common = [str(patch_bundle.path), "--data", str(aerial), "--no-latency", "--threads", "1", "--out"]
    assert cli.main(["evaluate", *common, str(tmp_path / "plain.json")]) == 0
    tiled = ["--tiles", "auto", "--tile-overlap", "0"]
    assert cli.main(["evaluate", *common, str(tmp_path / "tiled.json"), *tiled]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    plain, result = read_result(tmp_path / "plain.json"), read_result(tmp_path / "tiled.json")
    assert plain.accuracy
    assert result.accuracy
    tiles = result.accuracy.tiles
    assert tiles
    assert plain.accuracy.tiles is None
    assert tiles.whole_metrics == plain.metrics
    assert (tiles.height, tiles.width, tiles.overlap, tiles.runs) == (64, 64, 0, 49)
    assert plain.metrics.AP < 0.1
    assert abs(result.metrics.AP - 1) < 1e-9  # also where slices see pieces of the large square
    assert f"+{result.metrics.AP - plain.metrics.AP:.4f} against" in printed
    assert "49.0 runs an image" in printed
    assert result.accuracy.image_ms > tiles.whole_ms > 0
    lines = [json.loads(line) for line in (tmp_path / "tiled.detections.ndjson").read_text().splitlines()]
    assert lines[0]["origin"]["tiles"] == "64, overlap 0"
    assert len(lines[1]["boxes"]) == 25
    assert len(lines[1]["whole"]["boxes"]) == 0

    page = parse(render([plain, result]))
    assert page.has("tiles")
    assert "tiles of 64, overlap 0" in page.text
    assert not parse(render([plain])).has("tiles")
    write_csv(tmp_path / "table.csv", [plain, result])
    write_markdown(tmp_path / "table.md", [plain, result])
    assert "tiles of 64, overlap 0" in (tmp_path / "table.csv").read_text()
    assert "tiles of 64, overlap 0" in (tmp_path / "table.md").read_text()


def test_results_of_slices_stand_in_no_chart(patch_bundle: Bundle, aerial: Path, variant: Callable[..., Any]) -> None:
    dataset = load_split(str(aerial), "val").first(1)
    result = evaluate(patch_bundle, patch_bundle.files[0], LocalDevice(), dataset, threads=1, tiling=GRID, quiet=True)
    untiled = variant("a")
    mixed = dataclasses.replace(untiled, accuracy=result.accuracy)
    assert "1 of 2 results lack" in render([untiled, mixed])


def test_an_interrupted_evaluation_goes_on_with_the_same_slices_alone(
    patch_bundle: Bundle, aerial: Path, tmp_path: Path
) -> None:
    dataset, log = load_split(str(aerial), "val"), tmp_path / "log"
    settings: dict[str, Any] = {"threads": 1, "log_path": log, "quiet": True}
    run = [patch_bundle, patch_bundle.files[0], LocalDevice(), dataset]
    whole = evaluate(*run, **settings, tiling=GRID)
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:3]))
    again = evaluate(*run, **settings, tiling=GRID)
    assert again.accuracy
    assert whole.accuracy
    assert again.metrics == whole.metrics
    assert again.accuracy.tiles
    assert whole.accuracy.tiles
    assert again.accuracy.tiles.whole_metrics == whole.accuracy.tiles.whole_metrics
    for other in (None, Tiling(64, 64, 0.5)):
        with pytest.raises(UserError, match="another tiles"):
            evaluate(*run, **settings, tiling=other)


def test_slices_are_cut_from_the_upright_picture(patch_bundle: Bundle, aerial: Path, tmp_path: Path) -> None:
    with Image.open(aerial / "val2017" / "0.png") as picture:
        exif = Image.Exif()
        exif[0x0112] = 6  # what is stored is turned to the left
        picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    with mobiledet.Detector.open(patch_bundle, threads=1, tiles=64, tile_overlap=0) as detector:
        upright, turned = detector.detect([aerial / "val2017" / "0.png", tmp_path / "turned.png"])
    assert (turned.height, turned.width) == (HEIGHT, WIDTH)
    order, other = np.lexsort(upright.boxes.T), np.lexsort(turned.boxes.T)
    assert len(order) == 25
    np.testing.assert_array_equal(upright.boxes[order], turned.boxes[other])
    np.testing.assert_array_equal(upright.labels[order], turned.labels[other])


def test_a_picture_no_larger_than_a_slice_is_run_once(patch_bundle: Bundle, patch_data: Path) -> None:
    pictures = sorted((patch_data / "val2017").iterdir())
    with (
        mobiledet.Detector.open(patch_bundle, threads=1) as plain,
        mobiledet.Detector.open(patch_bundle, threads=1, tiles=320) as tiled,
    ):
        for one, other in zip(plain.detect(pictures), tiled.detect(pictures), strict=True):
            np.testing.assert_array_equal(one.boxes, other.boxes)
            np.testing.assert_array_equal(one.scores, other.scores)


def test_a_damaged_picture_is_told(patch_bundle: Bundle, aerial: Path, tmp_path: Path) -> None:
    whole = (aerial / "val2017" / "0.png").read_bytes()
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name, content in (("a.png", whole), ("b.png", whole[: len(whole) // 2]), ("c.png", whole)):
        (folder / name).write_bytes(content)
    assert cli.main(["predict", str(patch_bundle.path), str(folder), "--tiles", "64", "--out", str(out)]) == 2
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "c.png"]


@pytest.mark.parametrize(
    ("text", "overlap", "reason"),
    [("big", 0.2, "give one side"), ("16", 0.2, "below 32"), ("640", 0.95, "0.95 is not in"), ("640", -0.1, "not in")],
)
def test_wrong_settings_are_told(text: str, overlap: float, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        parse_tiling(text, overlap)


def test_tiles_need_accuracy(patch_bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", str(patch_bundle.path), "--no-accuracy", "--tiles", "64"]) == 2
    assert "--tiles affects only mAP" in capsys.readouterr().err


def test_too_many_slices_are_refused() -> None:
    with pytest.raises(UserError, match="more than 5000 tiles"):
        Tiling(32, 32, 0.5).slices(4000, 4000)
