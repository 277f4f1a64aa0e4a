"""TensorBoard logs. TensorFlow is not loaded even if it is installed, because that would take seconds."""

import sys
import threading
import types
from pathlib import Path
from typing import Any

import numpy as np

from mobiledet.drawing.pictures import contact_sheet
from mobiledet.files.atomic import is_full
from mobiledet.training.config import TrainConfig
from mobiledet.training.curves import CurvePoint
from mobiledet.training.loggers import Evaluation, curve_scalars, validation_scalars

MAX_SAMPLE_SHEETS = 50  # in the log of a run
CURVE_IOUS = (0.5, 0.75)


def _without_full_disk(fault: threading.ExceptHookArgs, before: Any = threading.excepthook) -> None:
    """Print no traceback if the writer's thread finds the disk full: the next call of the writer raises that error."""
    if not (isinstance(fault.exc_value, OSError) and is_full(fault.exc_value)):
        before(fault)


class TensorBoardLogger:
    """Writes the TensorBoard event files of a run.

    Args:
        folder: where the files are written.
        purge_step: values that an interrupted process logged from this step on are hidden.
        config: settings of the run.
    """

    def __init__(self, folder: Path, purge_step: int, config: TrainConfig) -> None:
        # if this module exists, tensorboard uses its built-in stub instead of TensorFlow
        sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("tensorboard.compat.notf"))
        from torch.utils.tensorboard import SummaryWriter

        threading.excepthook = _without_full_disk
        self._writer = SummaryWriter(folder, purge_step=purge_step)
        self._config = config

    def log_point(self, point: CurvePoint) -> None:
        """Write losses, learning rate and speed."""
        for name, value in curve_scalars(point).items():
            self._writer.add_scalar(name, value, point.step)

    def log_evaluation(self, evaluation: Evaluation) -> None:
        """Write mAP, the AP of each class, mean precision against recall, and after some evaluations the samples."""
        step, curves = evaluation.step, evaluation.validation.curves
        for name, value in validation_scalars(evaluation.validation).items():
            self._writer.add_scalar(name, value, step)
        present = np.array(curves.objects) > 0
        if present.any():
            # the plug-in shows counts beside the curve, but COCO's scorers do not report them
            counts = np.zeros_like(curves.recall)
            for iou in CURVE_IOUS:
                mean = curves.at(iou)[:, present].mean(axis=1)
                # reversed, because the plug-in expects the lowest score threshold, the highest recall, first
                self._writer.add_pr_curve_raw(
                    f"precision and recall/IoU {iou:.2f}",
                    *(counts,) * 4,
                    precision=mean[::-1],
                    recall=curves.recall[::-1],
                    global_step=step,
                    num_thresholds=len(counts),
                )
        if evaluation.samples and logs_samples(self._config, evaluation.epoch):
            sheet = contact_sheet([sample.picture for sample in evaluation.samples], columns=3)
            self._writer.add_image("validation/samples", sheet, step, dataformats="HWC")

    def close(self, is_done: bool) -> None:
        """Write the remaining events and close the files."""
        self._writer.close()


def logs_samples(config: TrainConfig, epoch: int) -> bool:
    """Whether the samples of the evaluation after ``epoch`` are logged; not all are, so that the log stays small."""
    evaluations = -(-config.epochs // config.eval_every)
    gap = -(-evaluations // MAX_SAMPLE_SHEETS)
    return epoch == config.epochs or (epoch // config.eval_every) % gap == 0
