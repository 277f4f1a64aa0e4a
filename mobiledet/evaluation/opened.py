"""A model file of a bundle, loaded on a device and checked there: what predict and the Python interface begin with."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mobiledet.bundle import Bundle, ModelFile, open_bundle
from mobiledet.devices import open_device
from mobiledet.devices.base import MOST_THREADS, Device, Session
from mobiledet.errors import UserError
from mobiledet.evaluation.tiles import TiledSession, Tiling

DEFAULT_SCORE = 0.3  # of a file without an operating point


@dataclass(frozen=True)
class OpenedFile:
    """A file that finds on this device what it found at export; close it when it is not needed any more.

    Attributes:
        bundle, file: what is run.
        device: where.
        session: the loaded file.
    """

    bundle: Bundle
    file: ModelFile
    device: Device
    session: Session

    def shown_from(self, score: float | None) -> float | np.ndarray:
        """From which score on detections are shown, as ``Detections.above`` takes it.

        Args:
            score: for all classes; None takes the operating point of the file, or ``DEFAULT_SCORE`` where it has none.

        Raises:
            UserError: the score is none.
        """
        if score is not None:
            if not 0 <= score <= 1:
                raise UserError(f"score {score} is not in 0..1")
            return score
        point = self.file.operating_point
        return np.array(point.thresholds) if point else DEFAULT_SCORE

    def close(self) -> None:
        """Let the device go."""
        self.device.close()


def open_file(
    path: Path,
    file: str = "",
    device: str = "local",
    token: str = "",
    accelerator: str = "auto",
    threads: int = 0,
    tiling: Tiling | None = None,
) -> OpenedFile:
    """Load a model file on a device and replay its golden inputs there.

    Args:
        path: of the bundle.
        file: its name or precision; by default the first .tflite.
        device, token: as in ``open_device``.
        accelerator, threads: as in ``Device.load``.
        tiling: how pictures are cut; None runs on whole ones alone.

    Raises:
        UserError: bundle, file or device cannot be had, or the device finds something else in the golden inputs.
    """
    if not 0 <= threads <= MOST_THREADS:
        raise UserError(f"--threads {threads} is not in 0..{MOST_THREADS}")
    opened = open_device(device, token)
    try:
        bundle = open_bundle(path)
        chosen = bundle.select(file)
        session: Session = opened.load(bundle, chosen, accelerator, threads)
        session.golden()
    except BaseException:
        opened.close()
        raise
    if tiling:
        session = TiledSession(session, bundle.spec, tiling)
    return OpenedFile(bundle, chosen, opened, session)
