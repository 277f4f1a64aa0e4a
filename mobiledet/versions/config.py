"""Options of the command compare. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from mobiledet.evaluation.config import ScoredImages

EXIT_WORSE = 3  # as of an export that leaves files out: done, but not everything is well


@dataclass(frozen=True)
class CompareConfig(ScoredImages):
    """Tell whether a new version of a detector is better than the old one, worse, or merely different.

    Each of the two is a result of `mobiledet evaluate` with its NAME.detections.ndjson beside, such a file of
    detections alone, or a bundle, which is then evaluated here on --data. Both must have seen the same images. A result
    tells which ones; otherwise, or where they have moved, --data or --images with --annotations do.

    Differences of mAP, AP50 and of each class come with a 95 % interval: the images are drawn anew 2,000 times, the
    same ones for both versions. Latency is compared where both were measured on the same device and runtime. An image
    is right where all objects are found and nothing else, each version at the scores of its own best F1 (or --score).

    For continuous integration, --max-drop and --max-slower give the exit status 3 where the new version is worse: by
    more than the limit, and so clearly that chance does not explain it (the interval leaves zero out, and versions that
    are swapped at random, image by image, lose as much in at most 1.25 % of the draws). 0 is well, 2 a mistake in what
    was given. A loss that few images cannot show, or that lies in fewer than seven of them, passes; the output says how
    large a loss these images can show.

    For example:
      mobiledet compare results/old.json results/new.json
      mobiledet compare old.mobiledet new.mobiledet --data /data/coco --max-drop 0.005 --max-slower 1.05
      mobiledet compare results/released.json new.mobiledet --markdown - --html compare.html
      mobiledet compare x.mobiledet x.mobiledet --data shapes --old-file float32 --file int8
    """

    old: Positional[Path]
    """The version that is in use: a result, a file of detections, or a bundle."""
    new: Positional[Path]
    """The version that shall replace it."""

    max_drop: float | None = None
    """Worse is a loss of more mAP than this, such as 0.005, that chance does not explain."""
    max_slower: float | None = None
    """Worse is a median latency of more than so many times the old one, such as 1.05."""
    score: float | None = None
    """Detections of at least this score count for the images that turned right or wrong; by default those of the best
    F1 of each class and version."""
    show: int = 12
    """Images in the page, those that changed most."""
    markdown: str = ""
    """Write the comparison as Markdown, as for a pull request; - prints it instead of the table."""
    html: Path | None = None
    """Write it as a page for people, with the images that changed, side by side."""
    json: Path | None = None
    """Write it as JSON."""

    file: str = ""
    """Model file or precision of a bundle; by default the first .tflite."""
    old_file: str = ""
    """Of the old bundle, where it is another one than of the new."""
    device: str = "local"
    """Where bundles are run, as of `mobiledet evaluate`."""
    token: str = ""
    """Of an agent; by default MOBILEDET_AGENT_TOKEN of the environment."""
    accelerator: str = "auto"
    """What computes, as of `mobiledet evaluate`."""
    threads: int = 0
    """Threads of the processor; 0 takes every core."""
    latency: bool = True
    """Measure the latency of bundles too; both of them need one."""
    results: Path = Path("results")
    """Folder for the results of bundles that are evaluated here, so that they need not be again."""
    fresh: bool = False
    """Start anew where an earlier evaluation of a bundle was interrupted; without it that one goes on."""
