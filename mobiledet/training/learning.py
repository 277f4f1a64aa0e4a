"""A look at the losses of the first steps: whether anything is learnt, or the learning rate makes them rise."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from mobiledet.training.config import TrainConfig
from mobiledet.training.optimization import highest_lr

LOOK_AFTER = 200  # steps, or a tenth of a shorter run
WINDOW = 20  # the first and the last steps that are compared
CERTAIN = 3.0  # standard errors
FALL = 0.8  # times the very first losses, where they fell before the first 20 steps were over
RISE = 1.5  # times the first loss: so much is no chance, and no beginning of fine-tuning either


class LearningCheck:
    """Tells once, in one line, that the loss has not fallen over the first steps, or has risen.

    A run of fewer than 80 steps is not judged, nor one that is resumed after its first step. A detector that starts
    from its own weights (``--init``, ``--qat``) has a low loss from the start, so that only a rise says anything.

    Args:
        config: of the run.
        total_steps: of the run.
        tell: takes the line.
    """

    def __init__(self, config: TrainConfig, total_steps: int, tell: Callable[[str], None]) -> None:
        self._config = config
        self._tell = tell
        self._steps = max(2 * WINDOW, min(LOOK_AFTER, total_steps // 10))
        self._is_on = total_steps >= 2 * self._steps
        self._losses: list[float] = []

    def read(self, step: int, loss: float) -> None:
        """Take the loss of a step, counted from 0."""
        if not self._is_on or step != len(self._losses):
            self._is_on = False
            return
        self._losses.append(loss)
        if len(self._losses) == self._steps:
            self._is_on = False
            warning = judged(self._losses, self._config)
            if warning:
                self._tell(warning)


def judged(losses: Sequence[float], config: TrainConfig) -> str:
    """What the losses of the first steps say against the settings; empty if nothing.

    The medians of the first and of the last 20 are compared, beyond what the spread of both explains.

    Args:
        losses: of at least 40 steps.
        config: of the run.
    """
    first, last = np.array(losses[:WINDOW]), np.array(losses[-WINDOW:])
    before, after = float(np.median(first)), float(np.median(last))
    error = CERTAIN * _standard_error(first, last)
    course = f"over the first {len(losses)} steps ({before:.3g} to {after:.3g})"
    lr = highest_lr(config)
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
    """Of the difference of their medians, as that of values that scatter normally, by the median deviation of both."""
    apart = np.concatenate([first - np.median(first), last - np.median(last)])
    deviation = 1.4826 * float(np.median(np.abs(apart)))
    return math.sqrt(math.pi / WINDOW) * deviation
