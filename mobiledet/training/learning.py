"""Checks the losses of the first steps, and warns if they do not fall."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from mobiledet.training.config import TrainConfig
from mobiledet.training.optimization import peak_lr

LOOK_AFTER = 200  # steps, or a tenth of a shorter run
WINDOW = 20  # the first and the last steps that are compared
CERTAIN = 3.0  # number of standard errors that make a difference certain
FALL = 0.8  # a loss below this multiple of the very first losses has fallen, even if it did so within 20 steps
RISE = 1.5  # a loss above this multiple of the first has risen; neither chance nor fine-tuning raises it so much


class LearningCheck:
    """Warns once if the loss has not fallen over the first steps, or has risen.

    Runs of fewer than 80 steps and resumed runs are not checked. A detector that starts from trained weights
    (``--init``, ``--qat``) has a low loss from the start, so there only a rise is reported.

    Args:
        config: settings of the run.
        total_steps: number of steps of the run.
        warn: called with the warning.
    """

    def __init__(self, config: TrainConfig, total_steps: int, warn: Callable[[str], None]) -> None:
        self._config = config
        self._warn = warn
        self._steps = max(2 * WINDOW, min(LOOK_AFTER, total_steps // 10))
        self._is_on = total_steps >= 2 * self._steps
        self._losses: list[float] = []

    def read(self, step: int, loss: float) -> None:
        """Add the loss of a step, counted from 0."""
        if not self._is_on or step != len(self._losses):
            self._is_on = False
            return
        self._losses.append(loss)
        if len(self._losses) == self._steps:
            self._is_on = False
            warning = judged(self._losses, self._config)
            if warning:
                self._warn(warning)


def judged(losses: Sequence[float], config: TrainConfig) -> str:
    """A warning about the losses of the first steps, with advice; empty if they fall as expected.

    The medians of the first and of the last 20 losses are compared, taking their spread into account.

    Args:
        losses: losses of at least 40 steps.
        config: settings of the run.
    """
    first, last = np.array(losses[:WINDOW]), np.array(losses[-WINDOW:])
    before, after = float(np.median(first)), float(np.median(last))
    error = CERTAIN * _standard_error(first, last)
    course = f"over the first {len(losses)} steps ({before:.3g} to {after:.3g})"
    lr = peak_lr(config)
    if after > max(RISE * before, before + error):
        return f"warning: the loss has risen {course}; lower --lr, such as to {lr / 10:.1g} from {lr:g}"
    has_fallen = before - after > error or after < FALL * float(np.median(first[:5]))
    if config.init or has_fallen:
        return ""
    usual = TrainConfig.lr if config.optimizer == "adamw" else 10 * TrainConfig.lr
    advice = f"raise --lr from {lr:g}" if lr < usual / 10 else f"lower --lr, such as to {lr / 10:.1g} from {lr:g}"
    return (
        f"warning: the loss has not fallen {course}; {advice}, or look at the boxes: `mobiledet data` shows whether "
        "they lie where they should"
    )


def _standard_error(first: np.ndarray, last: np.ndarray) -> float:
    """Standard error of the difference of two medians, from the median deviation of both and a normal distribution."""
    apart = np.concatenate([first - np.median(first), last - np.median(last)])
    deviation = 1.4826 * float(np.median(np.abs(apart)))
    return math.sqrt(math.pi / WINDOW) * deviation
