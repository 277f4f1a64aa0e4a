"""The head's outputs inside of a file against PyTorch's."""

from pathlib import Path

import numpy as np
import pytest

from mobiledet.bundle import Bundle
from mobiledet.checkpoint import load_detector
from mobiledet_converters.raw_outputs import difference, inside_tflite, raw_problem
from mobiledet_converters.reference import Reference, make_reference


@pytest.fixture(scope="module")
def reference(scene_checkpoint: Path, exported_bundle: Bundle) -> Reference:
    detector, spec = load_detector(scene_checkpoint)
    return make_reference(detector, spec, [exported_bundle.golden(exported_bundle.files[0])[0].image])


def test_figures() -> None:
    expected, found = np.array([3.0, 4.0]), np.array([3.0, 4.5])
    figures = difference(expected, found)
    assert (figures.max, figures.mean) == (0.5, 0.25)
    assert figures.sqnr_db == pytest.approx(10 * np.log10(25 / 0.25))
    assert difference(expected, expected).sqnr_db == 200
    assert difference(np.zeros(2), found).sqnr_db < 0


@pytest.mark.parametrize(("precision", "sqnr_db"), [("float32", 90), ("float16", 35)])
def test_exported_file(exported_bundle: Bundle, reference: Reference, precision: str, sqnr_db: float) -> None:
    path = exported_bundle.root / exported_bundle.select(precision).path
    figures = inside_tflite(path, reference.inputs[0], reference.raw)
    assert set(figures) == {"class_logits", "box_deltas"}
    assert min(f.sqnr_db for f in figures.values()) > sqnr_db
    assert raw_problem(figures, sqnr_db) == ""


def test_other_weights_are_told(exported_bundle: Bundle, reference: Reference) -> None:
    path = exported_bundle.root / "model.float32.tflite"
    other = {**reference.raw, "box_deltas": reference.raw["box_deltas"] * 1.01}
    figures = inside_tflite(path, reference.inputs[0], other)
    assert raw_problem(figures, 60) == "box_deltas is 40 dB above its error, 60 are needed"
