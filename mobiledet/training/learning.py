"""Checks the losses of the first steps, and warns if they do not fall."""

from collections.abc import Callable, Sequence

import numpy as np

from mobiledet.training.config import TrainConfig
from mobiledet.training.optimization import peak_lr

LOOK_AFTER = 200  # steps, or a fifth of a shorter run
MIN_STEPS = 60  # fewer losses tell nothing
WINDOW = 20  # steps whose median stands for the begin, and for the end
CHANCE = 0.1  # a fall that chance alone gives less often than this is one
FALL = 0.8  # a loss below this multiple of the very first losses has fallen, even if it did so within a few steps
RISE = 1.5  # a loss above this multiple of the first has risen; neither chance nor fine-tuning raises it so much


class LearningCheck:
    """Warns once if the loss has not fallen over the first steps, or has risen.

    Runs of fewer than 120 steps and resumed runs are not checked. A detector that starts from trained weights
    (``--init``, ``--qat``) has a low loss from the start, so there only a rise is reported.

    Args:
        config: settings of the run.
        total_steps: number of steps of the run.
        warn: called with the warning.
    """

    def __init__(self, config: TrainConfig, total_steps: int, warn: Callable[[str], None]) -> None:
        self._config = config
        self._warn = warn
        self._steps = max(MIN_STEPS, min(LOOK_AFTER, total_steps // 5))
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

    A fall is looked for in the ranks of all losses (Kendall's tau), because a loss that falls slowly changes less than
    two batches differ. A rise is looked for in the medians of the first and of the last 20.

    Args:
        losses: losses of at least 60 steps.
        config: settings of the run.
    """
    from scipy.stats import kendalltau  # takes a second to load

    before, after = float(np.median(losses[:WINDOW])), float(np.median(losses[-WINDOW:]))
    course = f"over the first {len(losses)} steps ({before:.3g} to {after:.3g})"
    lr = peak_lr(config)
    if after > RISE * before:
        return f"warning: the loss has risen {course}; lower --lr, such as to {lr / 10:.1g} from {lr:g}"
    ranks = kendalltau(range(len(losses)), losses, alternative="less")
    if config.init or ranks.pvalue < CHANCE or after < FALL * float(np.median(losses[:5])):
        return ""
    usual = TrainConfig.lr if config.optimizer == "adamw" else 10 * TrainConfig.lr
    advice = f"raise --lr from {lr:g}" if lr < usual / 10 else f"lower --lr, such as to {lr / 10:.1g} from {lr:g}"
    return (
        f"warning: the loss has not fallen {course}; {advice}, or look at the boxes: `mobiledet data` shows whether "
        "they lie where they should"
    )
