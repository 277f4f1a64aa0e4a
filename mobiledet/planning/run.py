"""The command ``mobiledet plan``: finds networks within a budget, and recommends one to train."""

import json
import math
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from mobiledet.backbones import BACKBONES
from mobiledet.data.config import DataOptions
from mobiledet.data.dataset import DetectionSet
from mobiledet.data.read import find_source, load_split
from mobiledet.data.summary import describe, shorter_sides
from mobiledet.detectors import DETECTORS
from mobiledet.errors import UserError, unknown_name
from mobiledet.evaluation.tiles import Tiling
from mobiledet.keywords import option_text
from mobiledet.overview.parts import parts_to_show
from mobiledet.planning.budget import Budget, parse_budget
from mobiledet.planning.candidates import Candidate, candidates, frontier
from mobiledet.planning.config import PlanConfig
from mobiledet.planning.costs import costs_of
from mobiledet.planning.forecast import ForecastModel
from mobiledet.profile.latency_table import LatencyTable, default_table_path, read_table
from mobiledet.spec import InputSpec

SHOWN = 12  # rows of the frontier that are printed
TILE_OVERLAP = 0.2


@dataclass(frozen=True)
class Tiles:
    """Gain and cost of tiles of the input size for the chosen network.

    Attributes:
        runs: mean number of runs for an image.
        ms: total latency of these runs.
        below_stride: fraction of boxes that are still below the finest stride.
    """

    runs: float
    ms: float
    below_stride: float


@dataclass(frozen=True)
class Plan:
    """The result of the command.

    Attributes:
        budget: the given budget.
        errors: for each precision, the 90th percentile of the relative errors if each latency of the table is predicted
            from the others.
        frontier: Pareto frontier of the files that are small enough, the fastest first, also beyond the latency budget.
        choice: the best candidate within the budget; None if nothing fits.
        tiles: gain and cost of tiles for the choice.
        commands: commands that train, export and measure it.
        unranked: number of backbones without a published accuracy.
    """

    budget: Budget
    errors: dict[str, float]
    frontier: tuple[Candidate, ...]
    choice: Candidate | None
    tiles: Tiles | None
    commands: tuple[str, ...]
    unranked: int


def run(config: PlanConfig) -> int:
    """The command ``mobiledet plan``; returns 0, or 3 if nothing fits the budget."""
    budget = parse_budget(config.budget)
    table = read_table(_table_path(config))
    part = parts_to_show(find_source(config.data, config), config)[0][0]  # the training part, if there is one
    dataset = load_split(config.data, part, config.on_bad_data, config)
    plan = make_plan(config, budget, table, dataset)
    if config.json:
        limits = {name: limit if math.isfinite(limit) else None for name, limit in asdict(budget).items()}
        print(json.dumps({**asdict(plan), "budget": limits}, indent=1, allow_nan=False))
    else:
        _print(plan, config, table, dataset)
    return 0 if plan.choice else 3


def make_plan(config: PlanConfig, budget: Budget, table: LatencyTable, dataset: DetectionSet) -> Plan:
    """Predict every candidate and choose the best within the budget.

    Raises:
        UserError: the data has no boxes, the table does not have a precision or has too few rows, or a detector is
            unknown.
    """
    if not any(dataset.objects):
        raise UserError(f"{dataset.annotations} has no boxes, so the sizes of the objects are unknown")
    for detector in config.detectors:
        if detector not in DETECTORS:
            raise unknown_name("detector", detector, DETECTORS)
    precisions = config.precisions or table.precisions
    for precision in precisions:
        if precision not in table.precisions:
            raise unknown_name("precision of this table", precision, table.precisions)
    models = {precision: ForecastModel(table, precision) for precision in precisions}
    found = list(candidates(dataset, models, config.detectors))
    fitting = [c for c in found if c.forecast.ms <= budget.ms and c.forecast.bytes <= budget.bytes]
    choice = max(fitting, key=lambda c: (c.order, -c.forecast.ms), default=None)
    near = [c for c in found if c.forecast.bytes <= budget.bytes]
    return Plan(
        budget=budget,
        errors={precision: model.error() for precision, model in models.items()},
        frontier=tuple(frontier(near)),
        choice=choice,
        tiles=_tiles(choice, dataset) if choice else None,
        commands=_commands(config, choice) if choice else (),
        unranked=len(BACKBONES) - len({candidate.shape.backbone for candidate in found}),
    )


def _table_path(config: PlanConfig) -> Path:
    path = config.table or default_table_path(config.device, config.threads)
    if not path.exists():
        raise UserError(
            f"no latency table of {config.device} with {config.threads} threads at {path}; measure it once: "
            f"mobiledet profile --all --device {config.device} --threads {config.threads}"
        )
    return path


def _tiles(choice: Candidate, dataset: DetectionSet) -> Tiles:
    shape = choice.shape
    tiling = Tiling(shape.height, shape.width, TILE_OVERLAP)
    runs = float(np.mean([1 + len(tiling.slices(image.height, image.width)) for image in dataset.images]))
    stride = costs_of(shape).finest_stride
    sides = np.concatenate([(i.boxes_xyxy[:, 2:] - i.boxes_xyxy[:, :2]).min(axis=1) for i in dataset.images])
    # tiles are not scaled down, so small boxes keep their size in pixels
    seen = np.maximum(sides, shorter_sides(dataset, InputSpec(shape.height, shape.width)))
    return Tiles(runs, runs * choice.forecast.ms, float(np.mean(seen < stride)))


def _commands(config: PlanConfig, choice: Candidate) -> tuple[str, ...]:
    shape = choice.shape
    given = [(field, getattr(config, field.name)) for field in fields(DataOptions)]
    reading = [option_text(field.name, value) for field, value in given if value != field.default]
    data = " ".join((shlex.quote(config.data), *reading))
    run = f"runs/{shape.backbone}-{shape.detector}-{choice.size}"
    return (
        f"mobiledet train --data {data} --backbone {shape.backbone} --detector {shape.detector} "
        f"--image-size {choice.size} --out {run}",
        f"mobiledet export {run}/best.ckpt --format tflite --precision {choice.precision}",
        f"mobiledet evaluate {run}/best.mobiledet --data {data} --device {config.device} --threads {config.threads}",
    )


def _print(plan: Plan, config: PlanConfig, table: LatencyTable, dataset: DetectionSet) -> None:
    console = Console()

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False, soft_wrap=True)

    say(f"{dataset.name}: {describe(dataset)}")
    say(
        f"{len(table.rows)} files measured on {table.device.model}, {table.device.cpu}, {table.accelerator}, "
        f"{table.threads} thread{'s' * (table.threads != 1)}, {table.created[:10]}"
    )
    errors = ", ".join(f"{error:.0%} ({precision})" for precision, error in plan.errors.items())
    say(f"if each of these latencies is predicted from the others, nine of ten errors are at most {errors}")
    if table.left_out:
        say(f"{len(table.left_out)} networks of the table could not be measured")
    lines = Table(box=None, pad_edge=False)
    for title in ("", "backbone, detector", "input", "file"):
        lines.add_column(title, no_wrap=True)
    for title in ("ms", "MB", "order", "small"):
        lines.add_column(title, justify="right", no_wrap=True)
    for candidate in _shown(plan):
        shape, forecast = candidate.shape, candidate.forecast
        lines.add_row(
            ">" if candidate == plan.choice else "",
            f"{shape.backbone} {shape.detector}",
            candidate.size,
            candidate.precision,
            f"{forecast.ms:.2f}" if forecast.measured else f"~{forecast.ms:.2f}",
            f"{forecast.bytes / 1e6:.2f}",
            f"{candidate.order:.1f}",
            f"{candidate.below_stride:.0%}",
        )
    console.print(lines)
    say("input: height x width. small: boxes whose shorter side is below the finest stride")
    say("~: predicted. order: published ImageNet accuracy of the backbone times the detection rate predicted from box")
    say(f"sizes; it is not an mAP. {plan.unranked} backbones without a published accuracy are not ranked.")
    if plan.choice is None:
        say(f"nothing fits the budget of {config.budget}; the table shows the fastest")
        return
    choice = plan.choice
    say(f"choice: {choice.shape}, {choice.precision}; train it and a neighbour before you rely on the order")
    if plan.tiles:
        say(
            f"{choice.below_stride:.1%} of the boxes are below the finest stride; with tiles (--tiles auto) it is "
            f"{plan.tiles.below_stride:.1%}, at {plan.tiles.runs:.1f} runs or {plan.tiles.ms:.1f} ms for an image"
        )
    for command in plan.commands:
        say(f"  {command}")


def _shown(plan: Plan) -> Sequence[Candidate]:
    """The part of the frontier around the choice."""
    if plan.choice is None:
        return plan.frontier[:SHOWN]
    place = next(i for i, candidate in enumerate(plan.frontier) if candidate.order >= plan.choice.order)
    start = max(0, place - SHOWN // 2)
    return plan.frontier[start : start + SHOWN]
