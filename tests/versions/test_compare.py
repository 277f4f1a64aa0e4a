"""mobiledet compare on real results of the detector of coloured squares."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mobiledet
from mobiledet import cli
from mobiledet.bundle import Bundle
from mobiledet.versions.config import EXIT_WORSE

QUICK = ("--threads", "1", "--warmup-runs", "1", "--warmup-seconds", "0", "--min-runs", "40", "--min-seconds", "0")
Change = Callable[[dict, np.random.Generator], None]


@pytest.fixture(scope="module")
def old(patch_bundle: Bundle, many_images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result of 60 images."""
    out = tmp_path_factory.mktemp("old") / "old.json"
    data = ("--data", str(many_images), "--limit", "60")
    assert cli.main(["evaluate", str(patch_bundle.path), *data, "--out", str(out), *QUICK]) == 0
    return out


def _copy(
    result: Path, folder: Path, name: str, change: Change | None = None, keep: Callable[[int], bool] = bool
) -> Path:
    """Detections as of another version: each image changed, some left out."""
    rng = np.random.default_rng(0)
    lines = result.with_suffix(".detections.ndjson").read_text().splitlines()
    written = [lines[0]]
    for line in lines[1:]:
        value = json.loads(line)
        if "image_id" in value and keep(value["image_id"]):
            if change:
                change(value, rng)
            written.append(json.dumps(value))
    path = folder / f"{name}.detections.ndjson"
    path.write_text("\n".join(written) + "\n")
    return path


def _half_lost(value: dict, rng: np.random.Generator) -> None:
    kept = np.flatnonzero(rng.random(len(value["scores"])) < 0.5).tolist()
    value.update({name: [value[name][index] for index in kept] for name in ("boxes", "scores", "labels")})


def _refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one line of a command that must fail."""
    assert cli.main(["compare", *map(str, words)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.strip().splitlines()
    return line.removeprefix("error: ")


def test_a_version_and_itself(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "same.json"
    limits = ("--max-drop", "0", "--max-slower", "1")
    assert cli.main(["compare", str(old), str(old), "--json", str(out), *limits]) == 0
    told = json.loads(out.read_text())
    assert told["map"]["difference"] == told["map"]["low"] == told["map"]["high"] == 0
    assert (told["images"], told["turned_right"], told["turned_wrong"], told["worse"]) == (60, [], [], [])
    assert told["latency"]["ratio"] == 1
    assert told["latency"]["low"] <= 1 <= told["latency"]["high"]
    assert "no significant difference in mAP" in capsys.readouterr().out


def test_a_worse_version_in_all_forms(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = _copy(old, tmp_path, "new<u>", _half_lost)
    page, text, values = tmp_path / "c.html", tmp_path / "c.md", tmp_path / "c.json"
    files = ("--html", str(page), "--markdown", str(text), "--json", str(values))
    assert cli.main(["compare", str(old), str(new), "--max-drop", "0.005", *files]) == EXIT_WORSE
    told = json.loads(values.read_text())
    assert told["map"]["high"] < -0.005
    assert told["turned_wrong"]
    assert not told["turned_right"]
    assert told["no_latency"] == "not measured for both"
    assert "worse: mAP fell by" in capsys.readouterr().out
    assert "<u>" not in page.read_text()
    assert "new&lt;u&gt;.detections.ndjson" in page.read_text()
    assert page.read_text().count("<img") == 24  # twelve images, old and new
    assert "<u>" not in text.read_text()
    assert "| mAP |" in text.read_text()

    # without a limit it is told, and no more
    assert cli.main(["compare", str(old), str(new), "--markdown", "-"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("### a significantly lower mAP")
    # a better one is not worse
    assert cli.main(["compare", str(new), str(old), "--max-drop", "0"]) == 0
    assert "a significantly higher mAP" in capsys.readouterr().out


def test_bundles_are_evaluated_here(
    old: Path, patch_bundle: Bundle, many_images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    zipped = Path(shutil.make_archive(str(tmp_path / "x.mobiledet"), "zip", patch_bundle.path))
    outcome = mobiledet.compare(zipped, old, latency=False, quiet=True)  # on the images of the result
    assert outcome.scores.map.difference == 0
    assert len(list((tmp_path / "results").glob("*.detections.ndjson"))) == 1
    # two files of one bundle
    two = mobiledet.compare(
        zipped, zipped, data=str(many_images), limit=20, old_file="float32", file="float16", latency=False, quiet=True
    )
    assert two.scores.images == 20
    assert [version.result.file.precision for version in (two.old, two.new)] == ["float32", "float16"]


def test_user_errors(
    old: Path, patch_bundle: Bundle, many_images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zipped = Path(shutil.make_archive(str(tmp_path / "x.mobiledet"), "zip", patch_bundle.path))
    assert "give --data" in _refused(capsys, zipped, zipped)
    alone = tmp_path / "alone.json"
    shutil.copy(old, alone)
    assert "alone.detections.ndjson is missing" in _refused(capsys, old, alone)
    assert "there is no file" in _refused(capsys, old, tmp_path / "absent.json")
    assert "on 59, 59 of them the same" in _refused(capsys, old, _copy(old, tmp_path, "few", keep=lambda i: i != 7))
    none = _copy(old, tmp_path, "none", lambda value, rng: value.update(image_id=value["image_id"] + 1000))
    assert "no image in common" in _refused(capsys, old, none)
    other = _copy(old, tmp_path, "other")
    other.write_text(other.read_text().replace('"green"', '"lime"'))
    assert "different classes (green, lime)" in _refused(capsys, old, other)
    assert "image 51, which" in _refused(capsys, old, old, "--data", many_images, "--limit", "50")
    listing = json.loads((many_images / "annotations" / "instances_val2017.json").read_text())
    listing["annotations"][0]["bbox"][2] += 1
    (tmp_path / "moved.json").write_text(json.dumps(listing))
    images = ("--images", many_images / "val2017", "--annotations", tmp_path / "moved.json")
    assert "other images or annotations" in _refused(capsys, old, old, *images)
    changed = tmp_path / "changed.json"
    shutil.copy(old, changed)
    _copy(old, tmp_path, "changed", _half_lost)
    assert "a file was changed" in _refused(capsys, old, changed)
    cut = tmp_path / "cut.detections.ndjson"
    cut.write_text(old.with_suffix(".detections.ndjson").read_text()[:-5])
    assert "last line is truncated" in _refused(capsys, old, cut)
    same = _copy(old, tmp_path, "same")
    assert "--max-slower needs latencies" in _refused(capsys, old, same, "--max-slower", "1.05")
    assert "--max-drop -1" in _refused(capsys, old, same, "--max-drop", "-1")
    assert "--score 2" in _refused(capsys, old, same, "--score", "2")
    assert "cannot write" in _refused(capsys, old, same, "--html", tmp_path)


def test_few_images_give_no_interval(
    patch_bundle: Bundle, patch_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "few.json"
    assert (
        cli.main(["evaluate", str(patch_bundle.path), "--data", str(patch_data), "--no-latency", "--out", str(out)])
        == 0
    )
    capsys.readouterr()
    assert cli.main(["compare", str(out), str(out)]) == 0
    assert "too few for an interval" in capsys.readouterr().out
    assert "--max-drop needs 10 images" in _refused(capsys, out, out, "--max-drop", "0.01")
