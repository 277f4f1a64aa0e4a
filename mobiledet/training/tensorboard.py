"""TensorBoard logs without TensorFlow: where it is installed, tensorboard would load it for seconds to write a file."""

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
from mobiledet.training.loggers import Evaluation, course, numbers

MOST_PICTURES = 50  # sheets of samples in one run's log
CURVE_IOUS = (0.5, 0.75)


def _without_full_disk(fault: threading.ExceptHookArgs, before: Any = threading.excepthook) -> None:
    """Say nothing of a full disk that the writer's thread meets: the next call of the writer raises the same error."""
    if not (isinstance(fault.exc_value, OSError) and is_full(fault.exc_value)):
        before(fault)


class TensorBoardLogger:
    """Event files of a run.

    Args:
        folder: of the files.
        purge_step: what an earlier run wrote from this step on is hidden.
        config: of the run.
    """

    def __init__(self, folder: Path, purge_step: int, config: TrainConfig) -> None:
        # tensorboard's own switch for its built-in stub: it looks for this module before it looks for TensorFlow
        sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("tensorboard.compat.notf"))
        from torch.utils.tensorboard import SummaryWriter

        threading.excepthook = _without_full_disk
        self._writer = SummaryWriter(folder, purge_step=purge_step)
        self._config = config

    def note(self, point: CurvePoint) -> None:
        """Write losses, learning rate and speed."""
        for name, value in course(point).items():
            self._writer.add_scalar(name, value, point.step)

    def evaluated(self, evaluation: Evaluation) -> None:
        """Write mAP, the AP of each class, mean precision against recall, and now and then the samples."""
        step, curves = evaluation.step, evaluation.validation.curves
        for name, value in numbers(evaluation.validation).items():
            self._writer.add_scalar(name, value, step)
        present = np.array(curves.objects) > 0
        if present.any():
            # the plug-in shows them beside the curve; COCO's scorers do not tell them
            counts = np.zeros_like(curves.recall)
            for iou in CURVE_IOUS:
                mean = curves.at(iou)[:, present].mean(axis=1)
                # from the strictest threshold of the score to the laxest, as the plug-in has it the other way round
                self._writer.add_pr_curve_raw(
                    f"precision and recall/IoU {iou:.2f}",
                    *(counts,) * 4,
                    precision=mean[::-1],
                    recall=curves.recall[::-1],
                    global_step=step,
                    num_thresholds=len(counts),
                )
        if evaluation.samples and is_pictured(self._config, evaluation.epoch):
            sheet = contact_sheet([sample.picture for sample in evaluation.samples], columns=3)
            self._writer.add_image("validation/samples", sheet, step, dataformats="HWC")

    def close(self, is_done: bool) -> None:
        """Write what is left."""
        self._writer.close()


def is_pictured(config: TrainConfig, epoch: int) -> bool:
    """Whether the samples of the evaluation after ``epoch`` go to the log: few enough that it stays small."""
    evaluations = -(-config.epochs // config.eval_every)
    gap = -(-evaluations // MOST_PICTURES)
    return epoch == config.epochs or (epoch // config.eval_every) % gap == 0
