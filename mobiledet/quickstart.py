"""``mobiledet quickstart``: data, training, export, evaluation and report in sequence, each by its own command."""

import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mobiledet.errors import UserError
from mobiledet.processes.child import child_command
from mobiledet.processes.cores import usable_cores

if TYPE_CHECKING:
    from rich.console import Console

MARKER = "quickstart.txt"
PICTURES = 12  # number of validation images on which predict draws detections
PRECISIONS = ("float32", "float16", "int8")


@dataclass(frozen=True)
class QuickstartConfig:
    """Run all steps on the built-in shapes: train, export to TFLite and Core ML, evaluate the exported files, report.

    Every step is a mobiledet command of its own. It is printed before it runs, so that you can repeat it with your own
    data and settings.
    """

    out: Path = Path("runs/quickstart")
    """Folder for all outputs; it must not exist yet, except with --overwrite."""
    overwrite: bool = False
    """Replace the folder of an earlier quickstart."""
    backbone: str = "shufflenet_v2_0.5x"
    """Network that computes the features."""
    image_size: int = 160
    """Side of the square input in pixels, a multiple of 32."""
    epochs: int = 10
    """Number of passes over the training images."""
    batch_size: int = 8
    """Images per training step."""
    train: int = 2000
    """Number of training images to make."""
    val: int = 200
    """Number of validation images to make."""
    seed: int = 0
    """Random seed of the data, the initial weights and the order of images."""


@dataclass(frozen=True)
class Step:
    """One step, a command.

    Attributes:
        title: what it does.
        arguments: its arguments after ``mobiledet``.
    """

    title: str
    arguments: tuple[str, ...]


def run(config: QuickstartConfig) -> None:
    """Run all steps and print a summary of the results.

    Raises:
        UserError: the folder exists, cannot be written, or a step failed.
    """
    from rich.console import Console

    console = Console()
    started = time.monotonic()
    _prepare(config.out, config.overwrite)
    seconds = {}
    steps = plan(config)
    for number, step in enumerate(steps, start=1):
        console.rule(f"{number}/{len(steps)} {step.title}")
        console.print(f"$ mobiledet {shlex.join(step.arguments)}", highlight=False, soft_wrap=True, style="bold")
        begun = time.monotonic()
        status = subprocess.run(
            child_command("mobiledet.cli", *step.arguments, at_death=signal.SIGTERM), check=False
        ).returncode
        if status:
            raise UserError(
                f"quickstart stopped: `mobiledet {step.arguments[0]}` ended with status {status}, see above"
            )
        seconds[step.title] = time.monotonic() - begun
    _print_summary(console, config.out, seconds, time.monotonic() - started)


def plan(config: QuickstartConfig) -> tuple[Step, ...]:
    """The steps, in order."""
    out = config.out
    data, run_folder, bundle = out / "shapes", out / "run", out / "model.mobiledet"
    results = [out / "results" / f"{precision}.json" for precision in PRECISIONS]
    pictures = sorted_pictures(data, min(PICTURES, config.val))
    devices = 2 if config.batch_size % 2 == 0 and usable_cores() > 1 else 1
    return (
        Step(
            "draw the data",
            ("shapes", f"--out={data}", f"--train={config.train}", f"--val={config.val}", f"--seed={config.seed}"),
        ),
        Step(
            "train",
            (
                "train",
                f"--data={data}",
                f"--backbone={config.backbone}",
                "--detector=ssdlite_fpn",
                f"--image-size={config.image_size}",
                f"--epochs={config.epochs}",
                f"--batch-size={config.batch_size}",
                f"--eval-every={max(1, config.epochs // 2)}",
                "--accelerator=cpu",  # nearly the same numbers on every machine
                f"--devices={devices}",
                "--lr=0.008",
                "--ema-decay=0.998",
                "--crop-probability=0.2",
                f"--seed={config.seed}",
                f"--out={run_folder}",
            ),
        ),
        Step("export", ("export", f"{run_folder / 'best.ckpt'}", f"--out={bundle}")),
        *(
            Step(
                f"evaluate the {precision} file",
                ("evaluate", f"{bundle}", f"--precision={precision}", f"--data={data}", f"--out={result}"),
            )
            for precision, result in zip(PRECISIONS, results, strict=True)
        ),
        Step(
            "draw detections", ("predict", f"{bundle}", *map(str, pictures), "--score=0.5", f"--out={out / 'pictures'}")
        ),
        Step(
            "report",
            ("report", *map(str, results), f"--out={out / 'report.html'}", f"--pictures={out / 'pictures'}"),
        ),
    )


def sorted_pictures(data: Path, count: int) -> list[Path]:
    """The first validation images, as ``mobiledet shapes`` names them."""
    return [data / "val2017" / f"{number:012}.jpg" for number in range(1, count + 1)]


def _prepare(out: Path, overwrite: bool) -> None:
    """Make the folder; an existing one is replaced only if an earlier quickstart made it."""
    if out.exists():
        if not overwrite:
            raise UserError(f"{out} exists already; pass --overwrite or another --out")
        if not (out / MARKER).is_file():
            raise UserError(f"{out} was not made by quickstart, so it is not replaced; choose another --out")
        shutil.rmtree(out)
    try:
        out.mkdir(parents=True)
        (out / MARKER).write_text("made by mobiledet quickstart; --overwrite replaces this folder\n", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"cannot write {out}: {(error.strerror or str(error)).lower()}; choose another --out"
        ) from error


def _print_summary(console: "Console", out: Path, seconds: dict[str, float], total: float) -> None:
    from rich.table import Table

    from mobiledet.evaluation.result import read_result

    console.rule("done")
    title = "TFLite on this machine"
    models = Table("precision", "size KB", "mAP PyTorch", "mAP of the file", "p50 ms", "p90 ms", title=title)
    trained = best_map(out / "run" / "metrics.jsonl")
    for precision in PRECISIONS:
        result = read_result(out / "results" / f"{precision}.json")
        assert result.accuracy is not None
        assert result.latency is not None
        infer = result.latency.infer
        models.add_row(
            precision,
            f"{result.file.bytes / 1000:.0f}",
            f"{trained:.4f}",
            f"{result.accuracy.metrics.AP:.4f}",
            f"{infer.p50_ms:.2f}",
            f"{infer.p90_ms:.2f}",
        )
    console.print(models)
    times = ", ".join(f"{title} {duration:.0f} s" for title, duration in seconds.items())
    console.print(f"{total:.0f} s in all: {times}", highlight=False, soft_wrap=True)
    for name, path in {
        "report": out / "report.html",
        "bundle": out / "model.mobiledet",
        "pictures": out / "pictures",
        "training log": f"tensorboard --logdir {out / 'run'}",
    }.items():
        console.print(f"{name:>13}: {path}", highlight=False, soft_wrap=True)


def best_map(metrics: Path) -> float:
    """The highest validation mAP in a run's metrics.jsonl, which is that of best.ckpt."""
    import json

    return max(float(json.loads(line)["AP"]) for line in metrics.read_text(encoding="utf-8").splitlines())
