"""Sound files ship, whatever the network and the pictures: each family with several detectors, each detector on sparse
and on crowded pictures, in every precision of both formats; short trainings, so that scores are of all sorts. Sound is
a file that loses no more than 0.01 mAP."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobiledet.bundle import LeftOut
from mobiledet.devices.golden import replay_golden
from mobiledet.devices.litert import LiteRtDetector
from mobiledet_converters.config import ExportConfig
from mobiledet_converters.export import export
from mobiledet_converters.selection import KEPT_DROP

# backbone, detector, pictures: each family and each detector meets both kinds of pictures
COMBINATIONS = (
    ("mobilenet_v1_0.25x", "ssdlite", "sparse"),
    ("mobilenet_v1_0.25x", "faster_rcnn", "crowded"),
    ("mobilenet_v1_0.25x", "nanodet_plus", "crowded"),
    ("mobilenet_v2_0.35x", "ssdlite_fpn", "crowded"),
    ("mobilenet_v2_0.35x", "faster_rcnn_fpn", "sparse"),
    ("shufflenet_v1_0.25x_g3", "ssdlite", "crowded"),
    ("shufflenet_v1_0.25x_g3", "faster_rcnn_fpn", "crowded"),
    ("shufflenet_v1_0.25x_g3", "nanodet_plus", "sparse"),
    ("shufflenet_v2_0.5x", "ssdlite_fpn", "sparse"),
    ("shufflenet_v2_0.5x", "faster_rcnn", "sparse"),
    ("shufflenet_v2_0.5x", "nanodet_plus", "crowded"),
    ("ghostnet_0.5x", "ssdlite", "crowded"),
    ("ghostnet_0.5x", "nanodet_plus", "sparse"),
    ("ghostnet_0.5x", "faster_rcnn_fpn", "sparse"),
    ("fd_mobilenet_0.25x", "ssdlite_fpn", "crowded"),
    ("fd_mobilenet_0.25x", "faster_rcnn", "sparse"),
)


@pytest.fixture(scope="session")
def pictures(scene_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The scenes themselves, and pictures of nine scenes each."""
    crowded = tmp_path_factory.mktemp("crowded")
    scenes = [np.asarray(Image.open(path).convert("RGB").resize((96, 96))) for path in sorted(scene_folder.iterdir())]
    for number in range(8):
        nine = [scenes[(number + step) % len(scenes)] for step in range(9)]
        rows = [np.concatenate(nine[start : start + 3], axis=1) for start in (0, 3, 6)]
        Image.fromarray(np.concatenate(rows)).save(crowded / f"{number}.png")
    return {"sparse": scene_folder, "crowded": crowded}


def loses_map(file: LeftOut) -> bool:
    """Whether it is left out because it loses more than ``KEPT_DROP``, and no other reason."""
    drop = re.search(r"it loses (0\.\d+) of 0\.\d+ mAP|instead of \S+ (0\.\d+) less", f"{file.reason}; {file.advice}")
    return drop is not None and float(drop[1] or drop[2]) > KEPT_DROP


@pytest.mark.exhaustive
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("backbone", "detector", "kind"), COMBINATIONS)
def test_every_file_ships_and_passes_its_golden_cases(
    backbone: str,
    detector: str,
    kind: str,
    pictures: dict[str, Path],
    train_on_scenes: Callable[..., Path],
    scene_folder: Path,
    scenes: Path,
    tmp_path: Path,
) -> None:
    trained_on = tmp_path / "trained_on"  # a folder of its own: validation images are refused
    shutil.copytree(scene_folder, trained_on)
    config = ExportConfig(
        train_on_scenes(backbone, detector, steps=100 if "faster_rcnn" in detector else 30),
        tmp_path / "x.mobiledet",
        precisions=("float32", "float16", "int8-weights", "int8", "int16x8", "palette6", "w8a8"),
        face=("graph",),
        images=pictures[kind],
        calibration=str(trained_on),
        data=str(scenes),
    )
    bundle = export(config)
    print(*bundle.left_out, sep="\n")
    assert [str(file) for file in bundle.left_out if not loses_map(file)] == []
    assert len(bundle.files) + len(bundle.left_out) == 10
    assert bundle.files[0].map is not None
    assert bundle.files[0].map["pytorch"] > 0.1
    shipped = {(file.format, file.precision) for file in bundle.files}
    assert shipped >= {(format, precision) for format in ("tflite", "coreml") for precision in ("float32", "float16")}
    for file in bundle.files:
        if file.format == "tflite":
            for accelerator in ("xnnpack", "cpu"):
                model = LiteRtDetector(bundle.root / file.path, accelerator)

                def detect(case, model=model):  # type: ignore[no-untyped-def]
                    model.set_input(case.image)
                    model.invoke()
                    return model.detections(1, 1)

                assert replay_golden(bundle, file, accelerator, detect).cases == 3
