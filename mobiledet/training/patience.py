"""The end of a run whose mAP no longer grows: ``--patience``."""

from mobiledet.training.config import TrainConfig
from mobiledet.training.progress import duration_text
from mobiledet.training.state import TrainState


def is_ended_early(config: TrainConfig, state: TrainState) -> bool:
    """Whether as many evaluations as ``--patience`` came after the best one, before the last epoch.

    What it depends on is part of the state, so a resumed run ends where one that was never stopped does.
    """
    return 0 < config.patience <= state.stale and state.epoch < config.epochs


def ending_text(config: TrainConfig, state: TrainState, left_s: float | None) -> str:
    """Why the run ended, and what going on would have taken.

    Args:
        config, state: of the run.
        left_s: seconds that the epochs left would have taken; None if this process has trained none to tell it by.
    """
    cost = (
        f"going on to epoch {config.epochs} would have taken about {duration_text(left_s)} more"
        if left_s is not None
        else "the run is complete; a higher --patience, or 0, goes on"
    )
    return f"stopped after epoch {state.epoch}: no better mAP for {state.stale} evaluations; {cost}"
