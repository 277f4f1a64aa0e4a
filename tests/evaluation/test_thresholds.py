"""From an evaluation to thresholds in the bundle, and to what is shown with them."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mobiledet
from mobiledet import cli
from mobiledet.bundle import Bundle, open_bundle
from mobiledet.evaluation.analysis import Analysis
from mobiledet.evaluation.report import render
from mobiledet.evaluation.result import Result, read_result, write_result
from mobiledet.metrics.thresholds import Rule

Paint = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def measured(patch_bundle: Bundle, patch_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result of the detector of coloured squares, in which red is to be shown from 0.95 on."""
    out = tmp_path_factory.mktemp("thresholds") / "result.json"
    wishes = ["--min-precision", "0.9", "--no-latency", "--out", str(out)]
    assert cli.main(["evaluate", str(patch_bundle.path), "--data", str(patch_data), *wishes]) == 0
    result = read_result(out)
    assert result.accuracy
    assert result.accuracy.analysis
    best, wished = result.accuracy.analysis.tables
    red = dataclasses.replace(best.classes[0], threshold=0.95, high=1.0)
    changed = dataclasses.replace(best, classes=(red, *best.classes[1:]))
    analysis = dataclasses.replace(result.accuracy.analysis, tables=(changed, wished))
    write_result(out, dataclasses.replace(result, accuracy=dataclasses.replace(result.accuracy, analysis=analysis)))
    return out


@pytest.fixture
def bundle(patch_bundle: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(patch_bundle.root, tmp_path / "x.mobiledet"))


def analysis_of(path: Path) -> Analysis:
    accuracy = read_result(path).accuracy
    assert accuracy
    assert accuracy.analysis
    return accuracy.analysis


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert cli.main(["thresholds", *map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_an_evaluation_tells_thresholds_and_errors(measured: Path) -> None:
    analysis = analysis_of(measured)
    assert [table.rule for table in analysis.tables] == [Rule(), Rule("precision", 0.9)]
    overall = analysis.tables[0].overall
    assert overall.precision
    assert overall.recall
    assert (overall.precision.value, overall.recall.value) == (1, 1)
    assert 0 < overall.precision.low < 1, "a few objects that are all found do not promise that all are"
    assert all(kind.count == 0 for kind in analysis.errors.values())
    assert all(entry.truth == entry.found for entry in analysis.confusion)
    assert analysis.worst == ()
    assert sum(b.found for b in analysis.calibration) == overall.objects


def test_thresholds_are_shown_and_stored(measured: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert cli.main(["thresholds", str(measured)]) == 0
    printed = capsys.readouterr().out
    assert "red" in printed
    assert "not stored" in printed
    assert open_bundle(bundle).files[0].operating_point is None
    assert cli.main(["thresholds", str(measured), "--write", str(bundle)]) == 0
    assert "stored in" in capsys.readouterr().out
    opened = open_bundle(bundle)
    point = opened.files[0].operating_point
    assert point
    assert point.thresholds == analysis_of(measured).tables[0].thresholds
    assert point.thresholds[0] == 0.95
    assert point.file_sha256 == opened.files[0].sha256
    assert (point.rule, point.iou, point.images) == ("best F1", 0.5, 6)
    assert point.classes[0].precision_low is not None
    assert opened.files[1].operating_point is None, "another file has thresholds of its own"

    assert cli.main(["thresholds", str(measured), "--rule", "precision", "--write", str(bundle)]) == 0
    assert "replacing best F1" in capsys.readouterr().out.replace("\n", " ")
    again = open_bundle(bundle).files[0].operating_point
    assert again
    assert again.rule == "precision of at least 0.9"


def test_what_is_shown_follows_the_bundle(
    measured: Path, bundle: Path, tmp_path: Path, paint_cells: Paint, capsys: pytest.CaptureFixture[str]
) -> None:
    """A red and a blue square of a score of 0.86: the one lies below its threshold, the other above."""
    picture = tmp_path / "a.png"
    Image.fromarray(paint_cells([(1, 2, 0), (5, 5, 2)], 320, 320, value=220)).save(picture)

    def found(*options: str) -> tuple[list[str], str]:
        capsys.readouterr()
        command = ["predict", str(bundle), str(picture), "--json", "--out", str(tmp_path / "drawn"), *options]
        assert cli.main(command) == 0
        told = capsys.readouterr()
        return sorted(d["label"] for d in json.loads(told.out)[0]["detections"]), told.err

    shown, notice = found()
    assert shown == ["blue", "red"]
    assert "threshold" not in notice
    assert cli.main(["thresholds", str(measured), "--write", str(bundle)]) == 0
    shown, notice = found()
    assert shown == ["blue"]
    assert "score thresholds of the bundle apply: best F1 at IoU 0.5 on patches-val, 6 images" in notice
    shown, notice = found("--score", "0.3")
    assert shown == ["blue", "red"]
    assert "threshold" not in notice
    assert found("--file", "float16") == (["blue", "red"], "")
    with mobiledet.Detector.open(bundle) as detector:
        assert detector.detect(picture).names == ("blue",)
        assert sorted(detector.detect([picture], score=0.3)[0].names) == ["blue", "red"]
        with pytest.raises(mobiledet.UserError, match=r"score 1\.5 is not in 0\.\.1"):
            detector.detect(picture, score=1.5)


def test_what_does_not_fit_is_refused(
    measured: Path,
    bundle: Path,
    tmp_path: Path,
    write_patch_bundle: Callable[..., Bundle],
    capsys: pytest.CaptureFixture[str],
) -> None:
    sha256 = open_bundle(bundle).sha256
    assert "evaluate with --min-recall" in refused(capsys, measured, "--rule", "recall", "--write", bundle)
    result = read_result(measured)
    assert result.accuracy
    other = tmp_path / "other.json"
    for changed, message in (
        (dataclasses.replace(result, accuracy=None), "has no accuracy"),
        (
            dataclasses.replace(result, accuracy=dataclasses.replace(result.accuracy, analysis=None)),
            "without thresholds; evaluate again",
        ),
        (
            dataclasses.replace(result, file=dataclasses.replace(result.file, sha256="0" * 64)),
            "has no file with its checksum 00000000",
        ),
        (
            dataclasses.replace(result, accuracy=dataclasses.replace(result.accuracy, images_sha256="short")),
            "images_sha256",
        ),
        (
            dataclasses.replace(result, spec=dataclasses.replace(result.spec, labels=("a", "b", "c"))),
            "of other classes",
        ),
    ):
        write_result(other, changed)
        assert message in refused(capsys, other, "--write", bundle)
    assert "no bundle at" in refused(capsys, measured, "--write", tmp_path / "absent")
    (bundle / "labels.txt").write_text("a\n")
    assert "checksum" in refused(capsys, measured, "--write", bundle)
    (bundle / "labels.txt").write_text("".join(f"{label}\n" for label in result.spec.labels))
    assert open_bundle(bundle).sha256 == sha256


def test_a_point_of_another_file_is_refused(measured: Path, bundle: Path) -> None:
    from mobiledet.files.checksums import write_checksums

    assert cli.main(["thresholds", str(measured), "--write", str(bundle)]) == 0
    sound = json.loads((bundle / "bundle.json").read_text())
    for change, message in (
        ({"file_sha256": "0" * 64}, "of another file"),
        ({"thresholds": [0.5, 0.5]}, "thresholds are not those of classes"),
        ({"created": "soon"}, "soon"),
        ({"iou": 2}, "iou is 2"),
        ({"more": 1}, "more is unknown"),
    ):
        listing = json.loads(json.dumps(sound))
        listing["files"][0]["operating_point"].update(change)
        (bundle / "bundle.json").write_text(json.dumps(listing))
        write_checksums(bundle)
        with pytest.raises(mobiledet.UserError, match=message):
            open_bundle(bundle)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--min-precision", "0"], "--min-precision 0 is not above 0 and at most 1"),
        (["--min-recall", "1.5"], "--min-recall 1.5 is not above 0"),
        (["--min-recall", "nan"], "--min-recall nan is not above 0"),
        (["--match-iou", "0.6123"], "--match-iou 0.6123 is not one of 0.5, 0.55, ... 0.95"),
        (["--min-recall", "0.5", "--no-accuracy"], "need the accuracy"),
    ],
)
def test_wishes_that_nothing_can_meet(
    patch_bundle: Bundle, patch_data: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert cli.main(["evaluate", str(patch_bundle.path), "--data", str(patch_data), *options]) == 2
    assert message in capsys.readouterr().err


def test_old_results_still_open(measured: Path, tmp_path: Path) -> None:
    values = json.loads(measured.read_text())
    del values["accuracy"]["analysis"], values["file"]["operating_point"]
    old = tmp_path / "old.json"
    old.write_text(json.dumps(values))
    accuracy = read_result(old).accuracy
    assert accuracy
    assert accuracy.analysis is None


def test_an_analysis_that_no_evaluation_gives_is_refused(measured: Path, tmp_path: Path) -> None:
    for change in (
        lambda a: a["tables"].clear(),
        lambda a: a["tables"].reverse(),
        lambda a: a["tables"][0]["classes"].pop(),
        lambda a: a["errors"].pop("class"),
        lambda a: a["confusion"].append({"truth": 9, "found": 0, "count": 1}),
        lambda a: a["tables"][0]["overall"]["precision"].update(low=1.0, value=0.5),
    ):
        values = json.loads(measured.read_text())
        change(values["accuracy"]["analysis"])
        (tmp_path / "bad.json").write_text(json.dumps(values))
        with pytest.raises(mobiledet.UserError, match="damaged result"):
            read_result(tmp_path / "bad.json")


def test_the_report_shows_it(measured: Path, parse: Callable[[str], object]) -> None:
    result: Result = read_result(measured)
    text = render([result])
    assert 'id="operating"' in text
    for words in ("Thresholds: best F1", "Thresholds: precision of at least 0.9", "Kinds of error", "Calibration"):
        assert words in text
    accuracy = result.accuracy
    assert accuracy
    older = dataclasses.replace(result, accuracy=dataclasses.replace(accuracy, analysis=None))
    assert 'id="operating"' not in render([older])
