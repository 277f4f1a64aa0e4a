"""Options of the command plan. Imports nothing heavy, so that its help appears at once."""

from dataclasses import dataclass
from pathlib import Path

from mobiledet.data.config import DataOptions


@dataclass(frozen=True)
class PlanConfig(DataOptions):
    """Say which network to train for a budget: backbone, detector, input shape and precision.

    Latencies and sizes are forecasts from a table that `mobiledet profile --all` has measured once on the device; how
    far such forecasts were off within the table is told. They are latencies of a device that is as fast as at its best:
    the fast tenth of the runs of the fastest round, some percent below the median that `mobiledet evaluate` tells.
    Nobody knows a mAP before training: the order among networks comes from how large the boxes of the data are in each
    input, and from the backbones' published ImageNet accuracy. Printed are the frontier (nothing else is both faster
    and forecast to be better), the choice, and the commands.

    For example:
      mobiledet profile --all                                  # once for each device
      mobiledet plan --data data/mine --budget "8 ms, 1.5 MB"
      mobiledet plan --data data/mine --budget "30 ms" --device adb --threads 4 --detectors ssdlite_fpn faster_rcnn_fpn
    """

    data: str
    """A folder of annotated images (see --data-format), or `shapes` for the built-in set."""
    budget: str
    """The most that an image may take and a file may have, such as "8 ms, 1.5 MB"; either alone serves too."""
    device: str = "local"
    """Whose table to take: as it was named to `mobiledet profile --all`."""
    threads: int = 1
    """Of the table."""
    table: Path | None = None
    """The table, where it is not in the cache."""
    detectors: tuple[str, ...] = ("ssdlite_fpn", "nanodet_plus")
    """Heads to choose among. Those of two stages are slow to count and to run."""
    precisions: tuple[str, ...] = ()
    """Of the table, to choose among; by default all."""
    json: bool = False
    """Print JSON instead of words."""
