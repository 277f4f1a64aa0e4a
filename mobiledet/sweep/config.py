"""Options of the command sweep. Imports nothing heavy, so that its help appears at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional


@dataclass(frozen=True)
class SweepConfig:
    """Evaluate many models on many devices, and draw one report of all.

    Models are bundles, checkpoints, or run folders of `mobiledet train`; or they are named by backbones and detectors,
    and then each combination is trained on --data first. Checkpoints are exported, and each precision of each bundle is
    evaluated on each device with each number of threads. Every step is a mobiledet command of its own that writes its
    words to logs/; one that fails is told in the report, with its reason, and the others go on.

    The same command again does only what is missing: steps that are done are skipped, those that failed are tried
    again, trainings and evaluations that were interrupted go on where they were. A step is done anew when its options,
    its checkpoint or its bundle have changed.

    For example:
      mobiledet sweep runs/*/best.mobiledet --data /data/coco --precisions float16 int8 --threads 1 4 --out sweep
      mobiledet sweep runs/* --data /data/coco --devices local adb:0123456789 http://board:8765 --out sweep
      mobiledet sweep --backbones shufflenet_v2_0.5x mobilenet_v2_0.5x --detectors ssdlite_fpn --image-sizes 160 320 \\
          --data shapes --train-options "--epochs 10 --batch-size 8" --out sweep
    """

    models: Positional[tuple[Path, ...]] = ()
    """Bundles, checkpoints, run folders."""

    backbones: tuple[str, ...] = ()
    """Networks to train, such as shufflenet_v2_1x; `mobiledet list` shows all."""
    detectors: tuple[str, ...] = ("ssdlite_fpn",)
    """Heads to train each of them with."""
    image_sizes: tuple[int | str, ...] = (320,)
    """Sides of the square input, or height x width, such as 192x320, to train each of them for."""
    train_options: str = ""
    """More options of `mobiledet train`, such as "--epochs 50 --batch-size 64"."""

    precisions: tuple[str, ...] = ("float32", "float16", "int8")
    """Files of each bundle to evaluate; checkpoints are exported to these."""
    formats: tuple[Literal["tflite", "coreml", "coreai"], ...] = ("tflite",)
    """Kinds of files that checkpoints are exported to."""
    export_options: str = ""
    """More options of `mobiledet export`."""

    devices: tuple[str, ...] = ("local",)
    """Where to evaluate, as in `mobiledet evaluate --device`."""
    threads: tuple[int, ...] = (0,)
    """Threads of the processor; 0 takes every core."""
    accelerators: tuple[str, ...] = ("auto",)
    """What computes."""
    token: str = ""
    """Of the agents; by default MOBILEDET_AGENT_TOKEN of the environment."""
    data: str | None = None
    """A folder of annotated images, or `shapes` for the built-in set; without it latency alone is measured."""
    limit: int = 0
    """Only the first N validation images; 0 takes all."""
    evaluate_options: str = ""
    """More options of `mobiledet evaluate`, such as "--sustained 5m --strict"."""

    out: Path = Path("sweep")
    """Folder for runs, bundles, results, logs and the report."""
    timeout_minutes: float = 0.0
    """A step that takes longer is ended and counts as failed; 0 waits for ever."""
    dry_run: bool = False
    """Show the steps and what is done already, and do nothing."""
