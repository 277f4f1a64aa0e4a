"""Options of the command plan. Imports nothing heavy, so that its help appears at once."""

from dataclasses import dataclass
from pathlib import Path

from mobiledet.data.config import DataOptions


@dataclass(frozen=True)
class PlanConfig(DataOptions):
    """Recommend a network to train for a budget: backbone, detector, input shape and precision.

    Latencies and file sizes are predicted from a table that `mobiledet profile --all` has measured on the device; the
    error of such predictions within the table is reported. The latencies are those of the device at its fastest: the
    10th percentile of the runs in the fastest round, a few percent below the median that `mobiledet evaluate` reports.
    mAP cannot be known before training: networks are ranked by how large the boxes of the data are in each input, and
    by the published ImageNet accuracy of the backbones. The output shows the Pareto frontier (no other network is both
    faster and ranked higher), the choice, and the commands to run.

    For example:
      mobiledet profile --all                                  # once for each device
      mobiledet plan --data data/mine --budget "8 ms, 1.5 MB"
      mobiledet plan --data data/mine --budget "30 ms" --device adb --threads 4 --detectors ssdlite_fpn faster_rcnn_fpn
    """

    data: str
    """A folder of annotated images (see --data-format), or `shapes` for the built-in set."""
    budget: str
    """Largest latency for an image and largest file size, such as "8 ms, 1.5 MB"; either one may be given alone."""
    device: str = "local"
    """Device whose latency table is used, named as it was in `mobiledet profile --all`."""
    threads: int = 1
    """Number of CPU threads with which the table was measured."""
    table: Path | None = None
    """File with the latency table, if it is not in the cache."""
    detectors: tuple[str, ...] = ("ssdlite_fpn", "nanodet_plus")
    """Detectors to consider. Two-stage detectors take longer to analyse and to run."""
    precisions: tuple[str, ...] = ()
    """Precisions to consider; by default all that are in the table."""
    json: bool = False
    """Print JSON instead of a table."""
