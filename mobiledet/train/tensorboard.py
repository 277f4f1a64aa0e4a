"""TensorBoard logs without TensorFlow: where it is installed, tensorboard would load it for seconds to write a file."""

import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def open_log(folder: Path, purge_step: int) -> "SummaryWriter":
    """A writer of event files; what an earlier run wrote from ``purge_step`` on is hidden."""
    # tensorboard's own switch for its built-in stub: it looks for this module before it looks for TensorFlow
    sys.modules.setdefault("tensorboard.compat.notf", types.ModuleType("tensorboard.compat.notf"))
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(folder, purge_step=purge_step)
