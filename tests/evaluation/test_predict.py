import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobiledet import cli
from mobiledet.bundle import Bundle
from mobiledet.drawing.pictures import class_color

Paint = Callable[..., np.ndarray]


@pytest.fixture
def pictures(tmp_path: Path, paint_cells: Paint) -> Path:
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    Image.fromarray(paint_cells([(1, 2, 0), (5, 5, 2)], 640, 480)).save(folder / "a.jpg", quality=95, subsampling=0)
    Image.fromarray(paint_cells([(3, 3, 1)], 320, 320)).save(folder / "a.png")
    Image.fromarray(paint_cells([], 200, 100)).save(folder / "more" / "A.jpeg", quality=95)
    return folder


def test_pictures_are_drawn_and_told(
    patch_bundle: Bundle, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "drawn"
    arguments = [str(patch_bundle.path), str(pictures), str(pictures / "more" / "A.jpeg"), "--out", str(out)]
    assert cli.main(["predict", *arguments]) == 0
    printed, told = capsys.readouterr()
    assert f"file: {patch_bundle.choose().path}, which the bundle recommends" in told
    assert "160, 60, 240, 120" in printed
    assert "nothing" in printed
    assert sorted(path.name for path in out.iterdir()) == ["A-2.jpg", "a.jpg", "a.png"]
    with Image.open(out / "a.jpg") as drawn:
        assert (drawn.format, drawn.size) == ("JPEG", (640, 480))
        edge = np.asarray(drawn.convert("RGB"))[90, 158:165].astype(int)
    assert np.abs(edge - class_color(0)).sum(axis=1).min() < 90
    with Image.open(out / "a.png") as drawn:
        assert (drawn.format, drawn.size) == ("PNG", (640, 640))


def test_json(patch_bundle: Bundle, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(patch_bundle.path), str(pictures / "a.jpg"), "--out", str(tmp_path / "drawn"), "--json"]
    assert cli.main(["predict", *arguments]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["image"] == str(pictures / "a.jpg")
    assert Path(told["drawn"]).is_file()
    found = sorted((d["label"], d["category_id"], [round(side) for side in d["box_xyxy"]]) for d in told["detections"])
    assert found == [("blue", 9, [400, 300, 480, 360]), ("red", 3, [160, 60, 240, 120])]


def test_sheet_holds_all_pictures(patch_bundle: Bundle, pictures: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "new" / "sheet.jpg"
    arguments = [str(patch_bundle.path), str(pictures), "--out", str(tmp_path / "drawn"), "--sheet", str(sheet)]
    assert cli.main(["predict", *arguments]) == 0
    with Image.open(sheet) as image:
        assert image.format == "JPEG"
        assert image.width > 2 * image.height * 0.9, "two pictures stand side by side"


def test_score_leaves_out(
    patch_bundle: Bundle, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(patch_bundle.path), str(pictures / "a.jpg"), "--out", str(tmp_path / "drawn"), "--json"]
    assert cli.main(["predict", *arguments, "--score", "0.999"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["detections"] == []


def test_picture_is_turned_upright(
    patch_bundle: Bundle, tmp_path: Path, paint_cells: Paint, capsys: pytest.CaptureFixture[str]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(paint_cells([(0, 0, 1)], 640, 480)).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    arguments = [str(patch_bundle.path), str(tmp_path / "turned.jpg"), "--out", str(tmp_path / "drawn"), "--json"]
    assert cli.main(["predict", *arguments]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert [round(side) for side in told["detections"][0]["box_xyxy"]] == [420, 0, 480, 80]
    with Image.open(told["drawn"]) as drawn:
        assert drawn.size == (480, 640)
        assert drawn.getexif().get(0x0112, 1) == 1


def test_mistakes(patch_bundle: Bundle, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.jpg").write_bytes((pictures / "a.jpg").read_bytes()[:400])
    bundle, picture = str(patch_bundle.path), str(pictures / "a.jpg")
    for arguments, reason in (
        (["/no/bundle", picture], "no bundle at /no/bundle"),
        ([bundle, "/no/picture.jpg"], "/no/picture.jpg"),
        ([bundle, str(tmp_path / "empty")], "holds no images"),
        ([bundle, str(tmp_path / "broken.jpg")], "broken.jpg"),
        ([bundle, picture, "--score", "30"], "--score 30.0 is not in 0..1"),
        ([bundle, picture, "--file", "int4"], "holds no int4"),
        ([bundle, picture, "--device", "fridge"], "unknown device 'fridge'"),
        ([bundle, picture, "--out", str(pictures)], "would overwrite an input image"),
        ([bundle, picture, "--out", str(tmp_path / "file")], "cannot write"),
    ):
        out = [] if "--out" in arguments else ["--out", str(tmp_path / "drawn")]
        assert cli.main(["predict", *arguments, *out]) == 2
        assert reason in capsys.readouterr().err
    assert not (tmp_path / "drawn").exists()
    assert not list(pictures.glob(".*"))


def test_a_bad_picture_does_not_stop_the_others(
    patch_bundle: Bundle, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    good = (pictures / "a.jpg").read_bytes()
    for name, content in (("a.jpg", good), ("b.jpg", good[:400]), ("c.jpg", good), ("d.HEIC", b"x"), ("._a.jpg", b"x")):
        (folder / name).write_bytes(content)
    out = tmp_path / "drawn"
    assert cli.main(["predict", str(patch_bundle.path), str(folder), "--out", str(out), "--json"]) == 2
    told = capsys.readouterr()
    assert [Path(entry["image"]).name for entry in json.loads(told.out)] == ["a.jpg", "c.jpg"]
    assert sorted(path.name for path in out.iterdir()) == ["a.jpg", "c.jpg"]
    assert "error: cannot decode image" in told.err
    assert "1 of 3 images could not be read" in told.err
    assert "d.HEIC (format .HEIC is not supported)" in told.err
    assert "._a.jpg (metadata file of macOS)" in told.err
    (folder / "b.jpg").unlink()
    assert cli.main(["predict", str(patch_bundle.path), str(folder), "--out", str(out)]) == 0


def test_silent_runtime_is_refused(
    write_patch_bundle: Callable[..., Bundle], pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = write_patch_bundle(tmp_path, "silent")
    assert cli.main(["predict", str(bundle.path), str(pictures), "--out", str(tmp_path / "drawn")]) == 2
    assert "it detects nothing at all" in capsys.readouterr().err
