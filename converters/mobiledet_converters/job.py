"""What a converter process is asked and what it answers: JSON files in a folder of its own."""

import dataclasses
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mobiledet.bundle import GRAPH, VISION
from mobiledet.errors import UserError
from mobiledet.files.atomic import atomic_file, is_full
from mobiledet.spec import ModelSpec, read_json

if TYPE_CHECKING:
    from mobiledet.detectors import Detector

JOB = "job.json"
ANSWER = "answer.json"
STEP = "step.txt"
DISK_FULL = 28  # exit status of a converter that could not even leave an answer


class Job:
    """What a converter process is asked.

    Attributes:
        folder: where the files go.
    """

    folder: Path

    def announce(self, step: str) -> None:
        """Tell the waiting process what is being done."""
        with atomic_file(self.folder / STEP) as temporary:
            temporary.write_text(step, encoding="utf-8")

    def save(self) -> Path:
        """Write job.json into the folder."""
        raise NotImplementedError

    @classmethod
    def read(cls, path: Path) -> "Job":
        """What ``save`` wrote."""
        raise NotImplementedError


@dataclass(frozen=True)
class ConversionJob(Job):
    """One checkpoint to be converted to files of one format.

    Attributes:
        checkpoint: of the detector.
        folder: where the files go.
        precisions: of the files.
        nms: fields of ``NmsSpec`` that replace those of the checkpoint.
        calibration: the file of ``calibration_images``; None where no precision needs them.
        ios: oldest major version of iOS that runs Core ML packages.
        faces: of Core ML packages, see ``ModelFile``.
        int8_input: what a .tflite file with 8-bit activations takes, ``float32`` or ``uint8``.
        postprocess: how .tflite files end, see ``ExportConfig``.
    """

    checkpoint: Path
    folder: Path
    precisions: tuple[str, ...]
    nms: dict[str, Any]
    calibration: Path | None = None
    ios: int = 17
    faces: tuple[str, ...] = (GRAPH, VISION)
    int8_input: str = "float32"
    postprocess: str = "graph"

    def calibration_images(self) -> np.ndarray:
        """N x height x width x 3 uint8 RGB, as the model takes them."""
        assert self.calibration is not None, f"no images for {self.precisions}"
        images: np.ndarray = np.load(self.calibration, mmap_mode="r")
        return images

    def load(self) -> tuple["Detector", ModelSpec]:
        """The detector in evaluation mode, and its spec with the wanted suppression.

        Raises:
            UserError: the checkpoint cannot be read, or a setting is out of range.
        """
        from mobiledet.checkpoint import load_detector  # loads torch: a converter says first what it is doing

        detector, spec = load_detector(self.checkpoint)
        try:
            nms = dataclasses.replace(spec.nms, **self.nms)
        except ValueError as error:
            raise UserError(str(error)) from error
        return detector, dataclasses.replace(spec, nms=nms)

    def save(self) -> Path:
        path = self.folder / JOB
        path.write_text(json.dumps(dataclasses.asdict(self), default=str), encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> "ConversionJob":
        values = read_json(path)
        paths = {name: Path(values[name]) for name in ("checkpoint", "folder", "calibration") if values[name]}
        return cls(**{**values, **paths, **{name: tuple(values[name]) for name in ("precisions", "faces")}})


@dataclass(frozen=True)
class ConvertedFile:
    """A written model file.

    Attributes:
        name: inside of the job's folder.
        precision: such as ``float16``.
        structure: what the converter found in the written file, as JSON values.
        face: as in ``ModelFile``.
        problem: why it may not be what was to be written, in words; empty where nothing tells so.
    """

    name: str
    precision: str
    structure: dict[str, Any]
    face: str = ""
    problem: str = ""


@dataclass(frozen=True)
class ConversionAnswer:
    """What a converter process leaves: files, or the reason why there are none.

    Attributes:
        files: in the order of the job's precisions.
        seconds: from the start of the conversion, imports not counted.
        peak_memory_bytes: of the process.
        error: for the user; empty on success.
    """

    files: tuple[ConvertedFile, ...] = ()
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    error: str = ""

    @classmethod
    def read(cls, folder: Path) -> "ConversionAnswer":
        values = read_json(folder / ANSWER)
        return cls(**{**values, "files": tuple(ConvertedFile(**file) for file in values["files"])})


def serve(convert: Callable[[Any], Sequence[ConvertedFile]], kind: type[Job] = ConversionJob) -> None:
    """The main function of a converter process: read the job named on the command line, convert, leave an answer."""
    job = kind.read(Path(sys.argv[1]))
    started = time.monotonic()
    try:
        try:
            files = tuple(convert(job))
            answer = ConversionAnswer(files, time.monotonic() - started, _peak_memory_bytes())
        except UserError as error:
            answer = ConversionAnswer(error=str(error))
        (job.folder / ANSWER).write_text(json.dumps(dataclasses.asdict(answer)), encoding="utf-8")
    except OSError as error:
        if not is_full(error):
            raise
        sys.exit(DISK_FULL)


def _peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
