"""The notebooks of examples/ run from top to bottom, with small settings."""

import json
import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SECONDS = 1800  # of one cell
SMALL = "\nEPOCHS = 1\nWORK = 'work'"


def test_notebooks_hold_no_outputs() -> None:
    """Outputs would be of somebody's machine, and large."""
    for path in sorted(EXAMPLES.glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        assert not [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")], path.name
        assert sum("parameters" in cell["metadata"].get("tags", ()) for cell in cells) == 1, path.name


def _run(name: str, settings: str, folder: Path) -> None:
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    parameters = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    parameters.source += settings
    NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(folder)}}).execute()


@pytest.mark.exhaustive
@pytest.mark.timeout(2 * SECONDS)
@pytest.mark.parametrize("name", ["photos_to_phone.ipynb", "reading_a_report.ipynb"])
def test_notebooks_run_on_the_built_in_set(name: str, tmp_path: Path) -> None:
    _run(name, SMALL, tmp_path)
    assert list((tmp_path / "work").rglob("*.json"))


@pytest.mark.exhaustive
@pytest.mark.timeout(2 * SECONDS)
def test_published_detector_runs(tmp_path: Path) -> None:
    """On a part of COCO in its layout, with a file of NanoDet-Plus-m's weights; the environment names both."""
    names = ("MOBILEDET_EXAMPLE_DATA", "MOBILEDET_EXAMPLE_WEIGHTS")
    data, weights = (os.environ.get(name, "") for name in names)
    if not data or not weights:
        pytest.skip(f"needs {' and '.join(names)}")
    _run("published_to_int8.ipynb", f"\nWORK = 'work'\nLIMIT = 32\nDATA = {data!r}\nWEIGHTS = {weights!r}", tmp_path)
    assert (tmp_path / "work" / "int8.json").is_file()
