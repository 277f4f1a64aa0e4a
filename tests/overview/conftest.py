from pathlib import Path

import pytest

from mobiledet.data.shapes import write_shapes


@pytest.fixture(scope="session")
def small_shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 training and 6 validation images; tests only read it."""
    folder = tmp_path_factory.mktemp("overview") / "shapes"
    write_shapes(folder, train=12, val=6, seed=5, workers=1)
    return folder
