"""Converts networks to .tflite files and times them in turn; shared by the benchmarks of the exporter."""

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from mobiledet.checkpoint import Checkpoint, save_checkpoint
from mobiledet.detectors import detector_from_spec
from mobiledet.devices.machine import cpu_name
from mobiledet.devices.partitions import divide
from mobiledet.profile.timing import measure_in_turn
from mobiledet.spec import InputSpec, ModelSpec
from mobiledet_converters.job import ConversionJob
from mobiledet_converters.lint.graph import FileGraph
from mobiledet_converters.process import Conversion
from mobiledet_converters.tflite.network import Network, convert_networks

SIDE = 320
THREADS = (1, 2)
COCO = tuple(f"class {number}" for number in range(80))


def options_from_command_line(description: str | None) -> argparse.Namespace:
    """Parse the options ``rounds``, the number of runs of each file, and ``keep``, a folder for the files."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100, help="number of timed runs of each file")
    parser.add_argument("--keep", type=Path, help="folder in which the files are kept and looked for")
    return parser.parse_args()


def converted(networks: Mapping[str, Network], folder: Path) -> dict[str, Path]:
    """The files of the networks; existing files in the folder are reused."""
    files = {name: folder / f"{name}.tflite" for name in networks}
    missing = {name: network for name, network in networks.items() if not files[name].exists()}
    if missing:
        with tempfile.TemporaryDirectory() as work:
            for name, path in convert_networks(missing, Path(work)).items():
                shutil.move(path, files[name])
    return files


def exported(
    backbone: str, detector: str, folder: Path, endings: Sequence[str] = ("graph",), **settings: Any
) -> dict[str, Path]:
    """Float32 files of a detector with random weights for COCO's 80 classes, as ``mobiledet export`` writes them.

    Args:
        backbone, detector: keys.
        folder: for the files; those that lie there already are taken as they are.
        endings: of ``--postprocess``.
        settings: other fields of the spec; files that are kept do not have them in their names.
    """
    spec = ModelSpec("x", backbone, detector, InputSpec(SIDE, SIDE), COCO, tuple(range(len(COCO))), **settings)
    files = {ending: folder / f"{backbone}-{detector}-{ending}.tflite" for ending in endings}
    for ending in [ending for ending, path in files.items() if not path.exists()]:
        with tempfile.TemporaryDirectory() as work:
            checkpoint = Path(work) / "random.ckpt"
            torch.manual_seed(0)
            save_checkpoint(checkpoint, Checkpoint(spec, detector_from_spec(spec).state_dict()))
            job = ConversionJob(checkpoint, Path(work), ("float32",), {}, postprocess=ending)
            with Conversion("tflite", job) as conversion:
                (file,) = conversion.answer().files
            shutil.move(Path(work) / file.name, files[ending])
    return files


@contextmanager
def folder_of(keep: Path | None) -> Iterator[Path]:
    """The folder to keep, or a temporary one."""
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def compare(files: Mapping[str, Path], rounds: int) -> dict[int, dict[str, float]]:
    """Print a table; the first file is the peer with which the others are compared.

    Returns:
        median milliseconds by threads and name.
    """
    print(f"{cpu_name()}, {rounds} rounds in turn")
    peer = next(iter(files))
    widths = max(map(len, files))
    medians = {}
    for threads in THREADS:
        measured = measure_in_turn(files, rounds, threads)
        medians[threads] = {name: stats.p50_ms for name, stats in measured.items()}
        for name, stats in measured.items():
            interval = f"{stats.p50_low_ms:.2f} to {stats.p50_high_ms:.2f}"
            ratio = stats.p50_ms / measured[peer].p50_ms
            print(f"{threads} threads  {name:<{widths}}  p50 {stats.p50_ms:6.2f} ms ({interval})  {ratio:.3f}")
    for name, path in files.items():
        kinds = [operation.kind for operation in FileGraph(path).operations]
        parts = len(divide(path).delegated)
        print(
            f"{name:<{widths}}  {len(kinds)} operations, {kinds.count('TRANSPOSE')} TRANSPOSE, "
            f"{kinds.count('QUANTIZE')} QUANTIZE, XNNPACK runs {parts} part(s)"
        )
    return medians
