from pathlib import Path

import pytest

from mobiledet.data.shapes import write_shapes


@pytest.fixture(scope="session")
def tiny_shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 training and 8 validation images in COCO's layout."""
    folder = tmp_path_factory.mktemp("data") / "shapes"
    write_shapes(folder, train=24, val=8, seed=0, workers=1)
    return folder
