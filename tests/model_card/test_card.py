"""Model cards of real bundles: what stands there, what is left out, and that nothing of it is markup."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mobiledet import cli
from mobiledet.bundle import Bundle, KernelCheck, LeftOut, ModelFile, open_bundle
from mobiledet.evaluation.card import card_of
from mobiledet.evaluation.result import Result, write_result
from mobiledet.model_card.draw import markdown, page
from mobiledet.model_card.make import make_card
from mobiledet.operating_point import ClassPoint, OperatingPoint
from mobiledet.spec import Origin, TrainingInfo

Variant = Callable[..., Bundle]


@pytest.fixture
def variant(patch_bundle: Bundle) -> Variant:
    """Makes bundles with other entries, in memory, out of the real one."""

    def make(file: dict[str, Any] | None = None, **spec: Any) -> Bundle:
        files = tuple(dataclasses.replace(entry, **(file or {})) for entry in patch_bundle.files)
        return dataclasses.replace(patch_bundle, spec=dataclasses.replace(patch_bundle.spec, **spec), files=files)

    return make


@pytest.fixture
def result(patch_bundle: Bundle, patch_data: Path, tmp_path: Path) -> Path:
    """A real result."""
    out = tmp_path / "r" / "result.json"
    quick = ("--warmup-runs", "1", "--warmup-seconds", "0", "--min-runs", "5", "--min-seconds", "0", "--threads", "1")
    assert cli.main(["evaluate", str(patch_bundle.path), "--data", str(patch_data), "--out", str(out), *quick]) == 0
    return out


def test_what_nobody_recorded_is_said(variant: Variant) -> None:
    text = markdown(make_card(variant(training=TrainingInfo())))
    for line in (
        "- **licence of the weights**: not recorded",
        "- **training data**: not recorded",
        "- **licence of the data**: not recorded",
        "- mAP by size and class: not measured.",
        "- Latency: not measured on any device.",
        "- Score thresholds for showing detections: not recorded.",
        "- Kernels of other processors: not verified.",
        "- mAP was not measured on any images.",
    ):
        assert line in text, line


def test_what_is_known_stands_there(variant: Variant) -> None:
    origin = Origin("net", "https://example.org/net.pth", "ab" * 32, "Apache-2.0", 22.0, "val2017")
    facts = {
        "map": {"AP": 0.4321, "AP50": 0.6543, "dataset": "coco-val", "images": 200},
        "parity": {"checked": "by hand", "matched": 98, "expected": 99, "images": 8, "lowest_iou": 0.9},
        "kernels": {
            "cortex-a53": KernelCheck(True, "litert 2", "QEMU 10", "litert 2, x86_64", 3, 4, 0.01, 1e-4),
            "max": KernelCheck(False, "litert 2", "QEMU 10", "litert 2, x86_64", 3, 4, 2, 0.1, problem="it misses 2"),
        },
        "calibration": {"source": "/data/pictures", "images": 128, "seed": 0},
        "operating_point": OperatingPoint(
            thresholds=(0.25, 0.5, 0.5),
            classes=(
                ClassPoint("red", 0.25, True, 0.91, 0.85, 0.95, 0.72, 0.6, 0.8),
                ClassPoint("green", 0.5, False),
                ClassPoint("blue", 0.5, False),
            ),
            rule="best F1",
            iou=0.5,
            dataset="coco-val",
            images=200,
            images_sha256="a" * 64,
            result_sha256="b" * 64,
            file_sha256="c" * 64,
            created="2026-11-29T10:00:00+00:00",
        ),
    }
    bundle = variant(facts, origin=origin, training=TrainingInfo("coco", "train", 30, "c0ffee", 7))
    bundle = dataclasses.replace(bundle, left_out=(LeftOut("model.int8.tflite", "it invents 3", "give more pictures"),))
    card = make_card(bundle)
    for text in (markdown(card), page(card)):
        for words in (
            "net, from https://example.org/net.pth",
            "Apache-2.0",
            "22 % on val2017, as the publisher reports",
            "coco, part train, 30 epochs, seed 7",
            "c0ffee",
            "0.432",
            "coco-val, 200 images",
            "128 images of /data/pictures",
            "98 of 99 in 8 images",
            "within its tolerance",
            "outside: it misses 2",
            "best F1 at IoU 0.5 on coco-val, 200 images",
            "0.91 (0.85 to 0.95)",
            "0.500 (of all classes)",
            "Not in the bundle: model.int8.tflite is left out: it invents 3",
            "mAP was measured on coco-val",
        ):
            assert words in text, words


def test_results_bring_sizes_classes_and_latency(
    patch_bundle: Bundle, result: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "card.md"
    assert cli.main(["card", str(patch_bundle.path), "--results", str(result.parent), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert f"card: {out}" in printed
    assert f"card: {out.with_suffix('.html')}" in printed
    text = out.read_text()
    measured = json.loads(result.read_text())
    assert "| patches-val, 6 |" in text
    assert "| red | 1.000 |" in text
    assert f"| {measured['latency']['infer']['n']} |" in text
    assert "not measured on any device" not in text
    assert "<table" in out.with_suffix(".html").read_text()


def test_by_default_beside_the_bundle(patch_bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "x.y.mobiledet"
    shutil.copytree(patch_bundle.path, folder)
    assert cli.main(["card", str(folder)]) == 0
    zipped = Path(shutil.make_archive(str(tmp_path / "z.mobiledet"), "zip", folder))
    assert cli.main(["card", str(zipped)]) == 0
    names = sorted(path.name for path in tmp_path.iterdir() if path.is_file())
    assert names == ["x.y.card.html", "x.y.card.md", "z.card.html", "z.card.md", "z.mobiledet.zip"]
    assert open_bundle(folder).sha256 == patch_bundle.sha256  # nothing was added to it


def test_texts_of_a_bundle_are_no_markup(variant: Variant) -> None:
    hostile = "<script>alert(1)</script>|[x](http://x)"
    bundle = variant(
        {"calibration": {"source": hostile, "images": hostile}, "map": {"AP": hostile, "dataset": hostile}},
        name=hostile,
        backbone=hostile,
        labels=(hostile, "green", "blue"),
        origin=Origin(hostile, hostile, hostile, hostile),
    )
    card = make_card(bundle)
    assert "<script>alert" not in page(card)
    text = markdown(card)
    assert "<script>" not in text
    assert "[x](" not in text


def test_user_errors(
    patch_bundle: Bundle, result: Path, variant: Variant, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*words: object) -> str:
        capsys.readouterr()
        assert cli.main(["card", *map(str, words)]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        return line

    assert "no bundle at" in refused(tmp_path / "absent.mobiledet")
    assert "must be a Markdown file" in refused(patch_bundle.path, "--out", tmp_path)
    other = Result.from_json(json.loads(result.read_text()), "x")
    other = dataclasses.replace(other, file=dataclasses.replace(other.file, sha256="0" * 64))
    write_result(tmp_path / "other.json", other)
    assert "none of the 1 results belongs to a file of" in refused(
        patch_bundle.path, "--results", tmp_path / "other.json"
    )
    card_of(patch_bundle, [result, tmp_path / "other.json"])
    assert "1 of 2 results belong to other bundles and are ignored" in capsys.readouterr().err


def test_every_field_of_a_file_is_decoded_or_said() -> None:
    # what a bundle tells of a file and the card does not show must be decided, not forgotten
    shown = {
        "path",
        "precision",
        "bytes",
        "sha256",
        "parity",
        "map",
        "calibration",
        "accelerators",
        "kernels",
        "operating_point",
    }
    assert {field.name for field in dataclasses.fields(ModelFile)} - shown <= {"format", "face"}
