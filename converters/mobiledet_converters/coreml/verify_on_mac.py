"""For a Mac: run the packages of a bundle in Apple's own runtime, on each of its compute units.

    python -m mobiledet_converters.coreml.verify_on_mac x.mobiledet --data shapes

Each package is loaded for the CPU, for CPU and GPU and for CPU and Neural Engine, must reproduce the bundle's golden
detections there, and is measured like any file on any device: ``result.json`` files that ``mobiledet report`` draws.
Core ML does not report which operations really ran on the requested unit; Xcode's performance report does.
"""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from PIL import Image
from rich.console import Console
from tyro.conf import Positional

from mobiledet.bundle import Bundle, ModelFile, open_bundle
from mobiledet.data.read import load_split
from mobiledet.detections import Detections
from mobiledet.devices.base import BenchmarkPlan, ColdStart, DeviceInfo
from mobiledet.devices.cold_start import cold_start
from mobiledet.devices.local import LocalDevice, LocalSession
from mobiledet.devices.outputs import to_detections
from mobiledet.errors import UserError
from mobiledet.evaluation.result import write_result
from mobiledet.evaluation.run import evaluate
from mobiledet_converters.coreml.framework import load_coremltools

Unit = Literal["cpu", "gpu", "ane", "all"]
UNITS = {"cpu": "CPU_ONLY", "gpu": "CPU_AND_GPU", "ane": "CPU_AND_NE", "all": "ALL"}  # -> coremltools.ComputeUnit
LoadModel = Callable[[Path, str], Any]  # from a package and a compute unit to an object like coremltools' MLModel


@dataclass(frozen=True)
class VerifyConfig:
    """Run the Core ML packages of a bundle in Apple's runtime: golden detections, latency, mAP. Needs a Mac."""

    bundle: Positional[Path]
    """The bundle that `mobiledet export` wrote."""
    unit: tuple[Unit, ...] = ("cpu", "gpu", "ane")
    """Compute units to run on; gpu and ane may also use the CPU."""
    data: str | None = None
    """A folder in COCO's layout, or `shapes`, to measure mAP on; without it mAP is not measured."""
    limit: int = 0
    """Use only the first N images; 0 uses all."""
    out: Path = Path("results")
    """Folder for the results."""


class AppleDetector:
    """A package in Apple's runtime, with the interface of ``CoreMlDetector``.

    Args:
        path: the package.
        unit: key of ``UNITS``.
        load: loads the model.
    """

    delegated_share: float | None = None

    def __init__(self, path: Path, unit: str, load: LoadModel) -> None:
        self._path = path
        self._model = load(path, UNITS[unit])
        image = self._model.get_spec().description.input[0]
        self.accelerator = unit
        self.height, self.width = image.type.imageType.height, image.type.imageType.width
        self._name = image.name
        self._input: dict[str, Any] = {}
        self._outputs: dict[str, np.ndarray] = {}

    def set_input(self, image: np.ndarray) -> None:
        """Set the image to run on, height x width x 3 uint8 RGB of the model's input size."""
        self._input = {self._name: Image.fromarray(image)}

    def invoke(self) -> None:
        """Run the package."""
        self._outputs = self._model.predict(self._input)

    def detections(self, image_height: int, image_width: int, class_count: int | None = None) -> Detections:
        """The detections of the last run; see ``to_detections``."""
        return to_detections(self._path, self._outputs, image_height, image_width, class_count)


class AppleSession(LocalSession):
    """A package of a bundle in Apple's runtime."""

    def _cold_start(self) -> ColdStart:
        path = str(self._bundle.root / self._file.path)
        program = [sys.executable, "-m", __spec__.name, "--cold-start", path, self.execution.requested]
        done = subprocess.run(program, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(f"{path} cannot be run in a fresh process: {done.stderr.strip().splitlines()[-1:]}")
        return ColdStart(**json.loads(done.stdout.splitlines()[-1]))


class AppleDevice(LocalDevice):
    """This Mac, with Apple's runtime."""

    def __init__(self, load: LoadModel) -> None:
        self._load = load

    def info(self) -> DeviceInfo:
        """Description of this Mac, with the version of coremltools."""
        self._runtime = ("Core ML", f"coremltools {version('coremltools')}")
        return super().info()

    def load(self, bundle: Bundle, file: ModelFile, accelerator: str = "all", threads: int = 0) -> LocalSession:
        """Load a package in Apple's runtime; see ``Device.load``."""
        detector: Any = AppleDetector(bundle.root / file.path, accelerator, self._load)
        return AppleSession(bundle, file, detector, accelerator, threads)


def load_model(path: Path, unit: str) -> Any:
    """Load a package in Apple's runtime.

    Raises:
        UserError: this machine is not a Mac.
    """
    if sys.platform != "darwin":
        raise UserError("Core ML runs only on Apple's systems; here, mobiledet evaluate --file PACKAGE interprets it")
    ct = load_coremltools()
    return ct.models.MLModel(str(path), compute_units=getattr(ct.ComputeUnit, unit))


def verify(
    config: VerifyConfig,
    console: Console,
    load: LoadModel = load_model,
    plan: BenchmarkPlan | None = None,
) -> list[Path]:
    """Measure every package on every unit, and continue after a failure.

    Returns:
        paths of the results.

    Raises:
        UserError: the bundle contains no package; or, after all have been tried, a package does not reproduce the
            golden detections on a unit.
    """
    bundle = open_bundle(config.bundle)
    packages = [file for file in bundle.files if file.format == "coreml"]
    if not packages:
        raise UserError(f"{config.bundle} contains no Core ML package; export it with --format coreml")
    dataset = load_split(config.data, "val", "error") if config.data else None
    if dataset and config.limit:
        dataset = dataclasses.replace(dataset, images=dataset.images[: config.limit])
    written, failed = [], []
    for file in packages:
        for unit in dict.fromkeys(config.unit):
            try:
                result = evaluate(
                    bundle,
                    file,
                    AppleDevice(load),
                    dataset,
                    accelerator=unit,
                    plan=plan or BenchmarkPlan(),
                    command=f"verify_on_mac --unit {unit}",
                )
            except UserError as error:
                failed.append(f"{file.path} on {unit}")
                console.print(f"{failed[-1]}: {error}", highlight=False, soft_wrap=True)
                continue
            path = config.out / f"{bundle.spec.name}-{bundle.sha256[:8]}-{file.path}-mac-{unit}.json"
            write_result(path, result)
            console.print(f"{file.path} on {unit}: golden detections reproduced; {path}", highlight=False)
            written.append(path)
    if failed:
        raise UserError(f"{len(failed)} of {len(packages) * len(config.unit)} checks failed: {', '.join(failed)}")
    return written


def main(arguments: Sequence[str]) -> int:
    """Run the program; returns its exit status."""
    if arguments[:1] == ["--cold-start"]:
        path, unit = Path(arguments[1]), arguments[2]
        print(json.dumps(dataclasses.asdict(cold_start(lambda: AppleDetector(path, unit, load_model)))))
        return 0
    try:
        verify(tyro.cli(VerifyConfig, args=arguments), Console())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
