"""``mobiledet profile --guidelines``: checks whether the four guidelines of ShuffleNet V2 hold on this device."""

import tempfile
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mobiledet.complexity import layer_costs
from mobiledet.devices.base import DeviceInfo
from mobiledet.drawing.figures import milliseconds
from mobiledet.errors import UserError
from mobiledet.evaluation.latency import LatencyStats
from mobiledet.profile.experiments import EXPERIMENTS, SIDE, Experiment, Variant
from mobiledet.profile.guidelines_picture import write_guidelines_picture
from mobiledet.profile.outcome import Measured, Outcome
from mobiledet.profile.record import SCHEMA_VERSION, write_json
from mobiledet.progress import shown_steps
from mobiledet_converters.process import missing_package
from mobiledet_converters.tflite.network import Network, convert_networks

NOTICEABLE = 1.05  # times with a smaller ratio count as equal
UNSTEADY = 1.2  # ratio of the bounds of a median's interval above which the machine was too busy for a good measurement


def run_guidelines(out: Path, rounds: int, threads: int, console: Console) -> None:
    """Run the experiments, print them, and write guidelines.json and guidelines.png.

    Raises:
        UserError: the converter is not installed or fails, or a file cannot be written.
    """
    missing = missing_package("network")
    if missing:
        raise UserError(f"--guidelines needs {missing}, which is not installed: pip install 'mobiledet[tflite]'")
    from mobiledet.devices.local import LocalDevice  # loads LiteRT

    with shown_steps(console) as on_step:
        outcomes = run_experiments(EXPERIMENTS, rounds, threads, on_step)
    device = LocalDevice().info()
    _print(outcomes, device, threads, console)
    write_json(out / "guidelines.json", to_json(outcomes, device, rounds, threads))
    write_guidelines_picture(out / "guidelines.png", outcomes, device, threads)
    console.print(f"written: {out / 'guidelines.json'}, {out / 'guidelines.png'}", highlight=False, soft_wrap=True)


def run_experiments(
    experiments: tuple[Experiment, ...], rounds: int, threads: int, on_step: Callable[[str], None] = lambda _: None
) -> list[Outcome]:
    """Convert all networks in one process, then measure the networks of each experiment in turn.

    Args:
        experiments: the experiments to run.
        rounds: number of timed runs of each network.
        threads: number of CPU threads.
        on_step: called with a description of the current step.
    """
    from mobiledet.profile.timing import measure_in_turn  # loads LiteRT

    networks = {
        _file_name(experiment, variant): Network(variant.build().eval(), (variant.channels, SIDE, SIDE))
        for experiment in experiments
        for variant in experiment.variants
    }
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        files = convert_networks(networks, Path(folder), on_step)
        for experiment in experiments:
            on_step(f"measuring {experiment.guideline}")
            names = [_file_name(experiment, variant) for variant in experiment.variants]
            latencies = measure_in_turn({name: files[name] for name in names}, rounds, threads)
            variants = tuple(
                _measured(variant, networks[name], latencies[name])
                for variant, name in zip(experiment.variants, names, strict=True)
            )
            outcomes.append(judge(experiment, variants))
    return outcomes


def _file_name(experiment: Experiment, variant: Variant) -> str:
    return f"{experiment.guideline} {variant.label}".replace(":", "-")


def _measured(variant: Variant, network: Network, latency: LatencyStats) -> Measured:
    costs = layer_costs(network.module, SIDE, SIDE, variant.channels)
    macs, memory_access = sum(cost.macs for cost in costs), sum(cost.memory_access for cost in costs)
    return Measured(variant.label, macs, memory_access, latency, variant.paper)


def judge(experiment: Experiment, variants: tuple[Measured, ...]) -> Outcome:
    """Compare the first and the last network of an experiment.

    A difference counts if it is noticeable and the 95 % intervals of the two medians do not overlap.
    """
    first, last = variants[0].latency, variants[-1].latency
    ratio = last.p50_ms / first.p50_ms
    if ratio >= NOTICEABLE and last.p50_low_ms > first.p50_high_ms:
        verdict = "holds"
    elif ratio <= 1 / NOTICEABLE and last.p50_high_ms < first.p50_low_ms:
        verdict = "is reversed"
    else:
        verdict = "makes no difference"
    steady = all(v.latency.p50_high_ms < UNSTEADY * v.latency.p50_low_ms for v in variants)
    return Outcome(
        experiment.guideline,
        experiment.title,
        experiment.question,
        variants,
        ratio,
        variants[0].paper / variants[-1].paper,
        verdict,
        steady,
    )


def to_json(outcomes: list[Outcome], device: DeviceInfo, rounds: int, threads: int) -> dict[str, Any]:
    """The measurements as JSON values, raw samples included."""
    return {
        "kind": "mobiledet guidelines",
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": asdict(device),
        "rounds": rounds,
        "threads": threads,
        "outcomes": [{**asdict(outcome), "sentence": outcome.sentence} for outcome in outcomes],
    }


def _print(outcomes: list[Outcome], device: DeviceInfo, threads: int, console: Console) -> None:
    for outcome in outcomes:
        table = Table(title=f"{outcome.guideline} {outcome.title}: {outcome.question}", title_justify="left")
        table.add_column("network", no_wrap=True)
        for title in ("MAdds M", "memory access M", "p50 ms", "times", "paper, ARM"):
            table.add_column(title, justify="right")
        first = outcome.variants[0]
        for variant in outcome.variants:
            table.add_row(
                variant.label,
                f"{variant.macs / 1e6:.1f}",
                f"{variant.memory_access / 1e6:.2f}",
                milliseconds(variant.latency.p50_ms),
                f"{variant.latency.p50_ms / first.latency.p50_ms:.2f}",
                f"{first.paper / variant.paper:.2f}",
            )
        console.print(table)
        console.print(outcome.sentence + "\n", markup=False, highlight=False)
    suffix = "s" if threads != 1 else ""
    console.print(f"{device.cpu}, LiteRT {device.runtime_version}, {threads} thread{suffix}", highlight=False)
