"""Options of the command sweep. Imports nothing heavy, so that its help appears at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional


@dataclass(frozen=True)
class SweepConfig:
    """Evaluate many models on many devices, and write one report on all of them.

    Models are bundles, checkpoints, or run folders of `mobiledet train`. With --backbones and --detectors, each
    combination is trained on --data first. Checkpoints are exported, and each precision of each bundle is evaluated on
    each device with each number of threads. Every step is a mobiledet command of its own that writes its output to
    logs/. If a step fails, the report gives the reason, and the other steps go on.

    Run the same command again to complete a sweep: finished steps are skipped, failed ones are tried again, and
    interrupted trainings and evaluations are resumed. A step is repeated if its options, its checkpoint or its bundle
    have changed.

    For example:
      mobiledet sweep runs/*/best.mobiledet --data /data/coco --precisions float16 int8 --threads 1 4 --out sweep
      mobiledet sweep runs/* --data /data/coco --devices local adb:0123456789 http://board:8765 --out sweep
      mobiledet sweep --backbones shufflenet_v2_0.5x mobilenet_v2_0.5x --detectors ssdlite_fpn --image-sizes 160 320 \\
          --data shapes --train-options "--epochs 10 --batch-size 8" --out sweep
    """

    models: Positional[tuple[Path, ...]] = ()
    """Models to evaluate: bundles, checkpoints or run folders."""

    backbones: tuple[str, ...] = ()
    """Backbones to train, such as shufflenet_v2_1x; `mobiledet list` shows all."""
    detectors: tuple[str, ...] = ("ssdlite_fpn",)
    """Detectors to train with each of --backbones."""
    image_sizes: tuple[int | str, ...] = (320,)
    """Input sizes to train each of --backbones for: the side of a square in pixels, or height x width, such as
    192x320."""
    train_options: str = ""
    """More options of `mobiledet train`, such as "--epochs 50 --batch-size 64"."""

    precisions: tuple[str, ...] = ("float32", "float16", "int8")
    """Precisions that checkpoints are exported to, and whose files are evaluated."""
    formats: tuple[Literal["tflite", "coreml", "coreai"], ...] = ("tflite",)
    """File formats that checkpoints are exported to."""
    export_options: str = ""
    """More options of `mobiledet export`."""

    devices: tuple[str, ...] = ("local",)
    """Devices to evaluate on, each as in `mobiledet evaluate --device`."""
    threads: tuple[int, ...] = (0,)
    """Numbers of CPU threads to evaluate with; 0 uses every core."""
    accelerators: tuple[str, ...] = ("auto",)
    """Accelerators to evaluate on, each as in `mobiledet evaluate --accelerator`."""
    token: str = ""
    """Access token of the agents; by default the environment variable MOBILEDET_AGENT_TOKEN."""
    data: str | None = None
    """A folder of annotated images, or `shapes` for the built-in data set; without it only latency is measured."""
    limit: int = 0
    """Evaluate only the first N validation images; 0 takes all."""
    evaluate_options: str = ""
    """More options of `mobiledet evaluate`, such as "--sustained 5m --strict"."""

    out: Path = Path("sweep")
    """Folder for runs, bundles, results, logs and the report."""
    timeout_minutes: float = 0.0
    """A step that takes longer is stopped and counts as failed; 0 sets no limit."""
    dry_run: bool = False
    """Show the steps and which are already done, but run nothing."""
