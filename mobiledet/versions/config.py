"""Options of the command compare. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from mobiledet.evaluation.config import ScoredImages

EXIT_WORSE = 3  # the comparison was made, and the new version is worse


@dataclass(frozen=True)
class CompareConfig(ScoredImages):
    """Determine whether a new version of a detector is better than the old one, worse, or merely different.

    Each version is a result of `mobiledet evaluate` with its NAME.detections.ndjson beside it, such a file of
    detections alone, or a bundle, which is then evaluated on --data. Both must have been run on the same images. A
    result names its images; otherwise, or if they were moved, give --data, or --images with --annotations.

    Differences in mAP, AP50 and the AP of each class come with a 95 % confidence interval from a bootstrap: images are
    resampled 2,000 times, the same ones for both versions. Latency is compared if both versions were measured on the
    same device and runtime. An image counts as correct if all its objects are detected and nothing else is, each
    version at the score thresholds of its own best F1 (or at --score).

    For continuous integration, --max-drop and --max-slower set the exit status to 3 if the new version is worse: by
    more than the limit, and by more than chance explains (the interval excludes zero, and if versions are swapped at
    random, image by image, at most 1.25 % of the draws lose as much). The exit status is 0 otherwise, and 2 for wrong
    arguments or input. A loss that is too small to be significant on these images, or that occurs in fewer than seven
    of them, passes; the output says how large a loss these images can show.

    For example:
      mobiledet compare results/old.json results/new.json
      mobiledet compare old.mobiledet new.mobiledet --data /data/coco --max-drop 0.005 --max-slower 1.05
      mobiledet compare results/released.json new.mobiledet --markdown - --html compare.html
      mobiledet compare x.mobiledet x.mobiledet --data shapes --old-file float32 --file int8
    """

    old: Positional[Path]
    """The current version: a result, a file of detections, or a bundle."""
    new: Positional[Path]
    """The version that is to replace it: a result, a file of detections, or a bundle."""

    max_drop: float | None = None
    """Largest acceptable loss of mAP, such as 0.005; a larger one that chance does not explain gives exit status 3."""
    max_slower: float | None = None
    """Largest acceptable ratio of the new median latency to the old one, such as 1.05; a larger one gives exit status
    3."""
    score: float | None = None
    """Score threshold that decides which images are correct; by default the threshold of the best F1 of each class and
    version."""
    show: int = 12
    """Number of images on the HTML page: those that changed most."""
    markdown: str = ""
    """File for the comparison as Markdown, for example for a pull request; - prints it instead of the table."""
    html: Path | None = None
    """File for the comparison as an HTML page, with the changed images side by side."""
    json: Path | None = None
    """File for the comparison as JSON."""

    file: str = ""
    """Model file or precision to run of a bundle; by default the one that the bundle recommends for --accelerator."""
    old_file: str = ""
    """Model file or precision to run of the old bundle, if it differs from --file."""
    device: str = "local"
    """Device to run bundles on, named as in `mobiledet evaluate`."""
    token: str = ""
    """Token of an agent; by default the environment variable MOBILEDET_AGENT_TOKEN."""
    accelerator: str = "auto"
    """Accelerator to run bundles on, as in `mobiledet evaluate`."""
    threads: int = 0
    """Number of CPU threads; 0 uses every core."""
    latency: bool = True
    """Also measure the latency of bundles. It is compared only if both versions have one."""
    results: Path = Path("results")
    """Folder for the results of bundles that are evaluated here, so that they are not evaluated again next time."""
    fresh: bool = False
    """Start again from the first image where an earlier evaluation of a bundle was interrupted; without this option it
    continues."""
