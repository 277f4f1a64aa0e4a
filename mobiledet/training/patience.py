"""Early stopping of a run whose mAP no longer rises: ``--patience``."""

from mobiledet.training.config import TrainConfig
from mobiledet.training.progress import duration_text
from mobiledet.training.state import TrainState


def is_ended_early(config: TrainConfig, state: TrainState) -> bool:
    """Whether ``--patience`` evaluations have passed since the best one, before the last epoch.

    It depends only on the state, so a resumed run ends at the same epoch as one that was never stopped.
    """
    return 0 < config.patience <= state.stale and state.epoch < config.epochs


def ending_text(config: TrainConfig, state: TrainState, left_s: float | None) -> str:
    """Why the run ended, and how long the remaining epochs would have taken.

    Args:
        config: settings of the run.
        state: state of the run.
        left_s: estimated duration of the remaining epochs in seconds; None if this process has trained no epoch.
    """
    cost = (
        f"going on to epoch {config.epochs} would have taken about {duration_text(left_s)} more"
        if left_s is not None
        else "the run is complete; a higher --patience, or 0, goes on"
    )
    evaluations = "evaluation" if state.stale == 1 else f"{state.stale} evaluations"
    return f"stopped after epoch {state.epoch}: no better mAP in the last {evaluations}; {cost}"
