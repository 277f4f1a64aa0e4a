"""TensorBoard logs without TensorFlow: where it is installed, tensorboard would load it for seconds to write a file."""

import sys
import threading
import types
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mobiledet.atomic import is_full
from mobiledet.drawing.pictures import contact_sheet
from mobiledet.training.config import TrainConfig
from mobiledet.training.samples import Sample
from mobiledet.training.validation import Validation

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

MOST_PICTURES = 50  # sheets of samples in one run's log
CURVE_IOUS = (0.5, 0.75)


def open_log(folder: Path, purge_step: int) -> "SummaryWriter":
    """A writer of event files; what an earlier run wrote from ``purge_step`` on is hidden."""
    # tensorboard's own switch for its built-in stub: it looks for this module before it looks for TensorFlow
    sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("tensorboard.compat.notf"))
    from torch.utils.tensorboard import SummaryWriter

    threading.excepthook = _without_full_disk
    return SummaryWriter(folder, purge_step=purge_step)


def _without_full_disk(fault: threading.ExceptHookArgs, before: Any = threading.excepthook) -> None:
    """Say nothing of a full disk that the writer's thread meets: the next call of the writer raises the same error."""
    if not (isinstance(fault.exc_value, OSError) and is_full(fault.exc_value)):
        before(fault)


def log_evaluation(log: "SummaryWriter", validation: Validation, step: int) -> None:
    """Write mAP, AP50 and AP75, the AP of each class, and precision against recall, mean over the classes."""
    metrics, curves = validation.metrics, validation.curves
    totals = {
        f"validation/{name}": v for name, v in (("mAP", metrics.AP), ("AP50", metrics.AP50), ("AP75", metrics.AP75))
    }
    classes = {f"class AP/{name}": value for name, value in metrics.per_class.items()}
    for name, value in (totals | classes).items():
        if value >= 0:  # else there is no box to find
            log.add_scalar(name, value, step)
    present = np.array(curves.objects) > 0
    if present.any():
        counts = np.zeros_like(
            curves.recall
        )  # the plug-in shows them beside the curve; COCO's scorers do not tell them
        for iou in CURVE_IOUS:
            mean = curves.at(iou)[:, present].mean(axis=1)
            # from the strictest threshold of the score to the laxest, as the plug-in has it the other way round
            log.add_pr_curve_raw(
                f"precision and recall/IoU {iou:.2f}",
                *(counts,) * 4,
                precision=mean[::-1],
                recall=curves.recall[::-1],
                global_step=step,
                num_thresholds=len(counts),
            )


def is_pictured(config: TrainConfig, epoch: int) -> bool:
    """Whether the samples of the evaluation after ``epoch`` go to the log: few enough that it stays small."""
    evaluations = -(-config.epochs // config.eval_every)
    gap = -(-evaluations // MOST_PICTURES)
    return epoch == config.epochs or (epoch // config.eval_every) % gap == 0


def log_samples(log: "SummaryWriter", samples: Sequence[Sample], step: int) -> None:
    """Write the pictures as one sheet."""
    if samples:
        sheet = contact_sheet([sample.picture for sample in samples], columns=3)
        log.add_image("validation/samples", sheet, step, dataformats="HWC")
