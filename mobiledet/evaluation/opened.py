"""Loads a model file of a bundle on a device and checks it there, for ``predict`` and the Python API."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mobiledet.bundle import Bundle, ModelFile, open_bundle
from mobiledet.devices import open_device
from mobiledet.devices.base import MAX_THREADS, Device, Session
from mobiledet.errors import UserError
from mobiledet.evaluation.tiles import TiledSession, Tiling

DEFAULT_SCORE = 0.3  # threshold for a file without an operating point


@dataclass(frozen=True)
class OpenedFile:
    """A loaded file that reproduces its golden detections on this device. Close it after use.

    Attributes:
        bundle, file: the bundle and its model file.
        device: the device.
        session: the loaded file.
    """

    bundle: Bundle
    file: ModelFile
    device: Device
    session: Session

    def score_threshold(self, score: float | None) -> float | np.ndarray:
        """The score threshold for shown detections, for ``Detections.above``.

        Args:
            score: threshold for all classes; None uses the operating point of the file, or ``DEFAULT_SCORE`` without
                one.

        Raises:
            UserError: the score is not in 0..1.
        """
        if score is not None:
            if not 0 <= score <= 1:
                raise UserError(f"score {score} is not in 0..1")
            return score
        point = self.file.operating_point
        return np.array(point.thresholds) if point else DEFAULT_SCORE

    def close(self) -> None:
        """Release the device."""
        self.device.close()


def recommended_notice(bundle: Bundle, file: ModelFile) -> str:
    """Which file runs because nobody named one; empty if the bundle holds no other."""
    if len(bundle.files) == 1:
        return ""
    reason = "which the bundle recommends" if file.path in bundle.recommended.values() else "the first of the bundle"
    return f"file: {file.path}, {reason}; --file runs another one"


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
        path: path of the bundle.
        file: name or precision of the model file; by default the one that the bundle recommends for the accelerator.
        device, token: as in ``open_device``.
        accelerator, threads: as in ``Device.load``.
        tiling: how images are cut into tiles; None runs only on whole images.

    Raises:
        UserError: bundle, file or device is not available, or the device does not reproduce the golden detections.
    """
    if not 0 <= threads <= MAX_THREADS:
        raise UserError(f"--threads {threads} is not in 0..{MAX_THREADS}")
    opened = open_device(device, token)
    try:
        bundle = open_bundle(path)
        chosen = bundle.choose(file, accelerator, device)
        session: Session = opened.load(bundle, chosen, accelerator, threads)
        session.golden()
    except BaseException:
        opened.close()
        raise
    if tiling:
        session = TiledSession(session, bundle.spec, tiling)
    return OpenedFile(bundle, chosen, opened, session)
