"""The request to a converter process and its answer: JSON files in a folder of its own."""

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
from mobiledet.processes.garbage import no_garbage_collection
from mobiledet.spec import ModelSpec, read_json

if TYPE_CHECKING:
    from mobiledet.detectors import Detector

JOB = "job.json"
ANSWER = "answer.json"
STEP = "step.txt"
DISK_FULL = 28  # exit status of a converter that could not write an answer because the disk is full


class Job:
    """A request to a converter process.

    Attributes:
        folder: folder for the written files.
    """

    folder: Path

    def announce(self, step: str) -> None:
        """Report the current step to the waiting process."""
        with atomic_file(self.folder / STEP) as temporary:
            temporary.write_text(step, encoding="utf-8")

    def save(self) -> Path:
        """Write job.json into the folder."""
        raise NotImplementedError

    @classmethod
    def read(cls, path: Path) -> "Job":
        """Read a file that ``save`` wrote."""
        raise NotImplementedError


@dataclass(frozen=True)
class ConversionJob(Job):
    """One checkpoint to be converted to files of one format.

    Attributes:
        checkpoint: checkpoint of the detector.
        folder: folder for the written files.
        precisions: precisions to write, one file or package each.
        nms: fields of ``NmsSpec`` that replace those of the checkpoint.
        calibration: .npy file with the calibration images; None if no precision needs them.
        ios: oldest major version of iOS that runs the Core ML packages.
        faces: interfaces of the Core ML packages, see ``ModelFile``.
        int8_input: input type of a .tflite file with 8-bit activations, ``float32`` or ``uint8``.
        postprocess: post-processing of .tflite files, see ``ExportConfig``.
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
        """The calibration images, N x height x width x 3 uint8 RGB of the model's input size."""
        assert self.calibration is not None, f"no images for {self.precisions}"
        images: np.ndarray = np.load(self.calibration, mmap_mode="r")
        return images

    def load(self) -> tuple["Detector", ModelSpec]:
        """The detector in evaluation mode, and its spec with the requested suppression settings.

        Raises:
            UserError: the checkpoint cannot be read, or a setting is out of range.
        """
        from mobiledet.checkpoint import load_detector  # loads torch: a converter announces its step first

        detector, spec = load_detector(self.checkpoint)
        try:
            nms = dataclasses.replace(spec.nms, **self.nms)
        except ValueError as error:
            raise UserError(str(error)) from error
        return detector, dataclasses.replace(spec, nms=nms)

    def save(self) -> Path:
        """Write the job as JSON into its folder; returns the file."""
        path = self.folder / JOB
        path.write_text(json.dumps(dataclasses.asdict(self), default=str), encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> "ConversionJob":
        """The job of a file that ``save`` wrote."""
        values = read_json(path)
        paths = {name: Path(values[name]) for name in ("checkpoint", "folder", "calibration") if values[name]}
        return cls(**{**values, **paths, **{name: tuple(values[name]) for name in ("precisions", "faces")}})


@dataclass(frozen=True)
class ConvertedFile:
    """A written model file.

    Attributes:
        name: its name in the job's folder.
        precision: such as ``float16``.
        structure: facts about the written file, as JSON values.
        face: as in ``ModelFile``.
        problem: a suspected fault of the written file; empty if there is none.
    """

    name: str
    precision: str
    structure: dict[str, Any]
    face: str = ""
    problem: str = ""


@dataclass(frozen=True)
class ConversionAnswer:
    """The answer of a converter process: files, or the reason why there are none.

    Attributes:
        files: in the order of the job's precisions.
        seconds: duration of the conversion, without imports.
        peak_memory_bytes: peak memory of the process.
        error: message for the user; empty on success.
    """

    files: tuple[ConvertedFile, ...] = ()
    seconds: float = 0.0
    peak_memory_bytes: int = 0
    error: str = ""

    @classmethod
    def read(cls, folder: Path) -> "ConversionAnswer":
        """The answer that a converter process wrote into a job's folder."""
        values = read_json(folder / ANSWER)
        return cls(**{**values, "files": tuple(ConvertedFile(**file) for file in values["files"])})


def serve(convert: Callable[[Any], Sequence[ConvertedFile]], kind: type[Job] = ConversionJob) -> None:
    """The main function of a converter process: read the job named on the command line, convert, write the answer."""
    job = kind.read(Path(sys.argv[1]))
    started = time.monotonic()
    try:
        try:
            with no_garbage_collection():
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
