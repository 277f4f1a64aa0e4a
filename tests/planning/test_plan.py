"""Plans from tables whose latencies are known sums, and from boxes whose sizes are known."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from mobiledet.cli import main
from mobiledet.complexity import count_macs, count_parameters
from mobiledet.data.read import load_split
from mobiledet.detectors import detector_from_spec
from mobiledet.devices.base import DeviceInfo
from mobiledet.errors import UserError
from mobiledet.planning import candidates as candidates_module
from mobiledet.planning import run as run_module
from mobiledet.planning.budget import Budget, parse_budget
from mobiledet.planning.candidates import chance_by_size, frontier, input_sides
from mobiledet.planning.config import PlanConfig
from mobiledet.planning.costs import costs_of
from mobiledet.planning.forecast import ForecastModel, family
from mobiledet.planning.run import make_plan
from mobiledet.profile.latency_table import LatencyRow, LatencyTable, Shape, Timing, read_table, write_table
from mobiledet.spec import InputSpec, ModelSpec

DEVICE = DeviceInfo("local", "a board", "Linux", "a processor", 2, "litert", "2.3.0")
NETWORKS = ("shufflenet_v2_0.5x", "shufflenet_v2_1x", "mobilenet_v1_0.25x", "mobilenet_v1_0.5x", "ghostnet_0.5x")
RATES = np.array([0.01, 0.03, 0.03, 0.03, 0.2, 0.4, 0.5, 2, 0.5, 0.2, 8, 10, 0.7])  # ms for each of the terms
FAMILY_FACTOR = {"shufflenet_v2": 1.3, "ghostnet": 1.6, "mobilenet_v1": 1.0}


def milliseconds(shape: Shape) -> float:
    return float(costs_of(shape).terms @ RATES) * FAMILY_FACTOR[family(shape.backbone)]


def row_of(shape: Shape) -> LatencyRow:
    size = 50_000 + 2 * costs_of(shape).parameters
    rounds = tuple(Timing(milliseconds(shape) * slowness, 30) for slowness in (1.3, 1.0, 1.7))
    return LatencyRow(shape, "float16", size, rounds)


@pytest.fixture(scope="module")
def table() -> LatencyTable:
    shapes = [Shape(network, "ssdlite_fpn", side, side, 6) for network in NETWORKS for side in (128, 256, 416)]
    return LatencyTable(DEVICE, "xnnpack", 1, "2026-11-29T00:00:00+00:00", "0.1.0", tuple(map(row_of, shapes)))


@pytest.fixture
def few_backbones(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (candidates_module, run_module):
        monkeypatch.setattr(module, "BACKBONES", (*NETWORKS, "shufflenet_v1_2x_g1"))


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("8 ms, 1.5 MB", Budget(8, 1.5e6)),
        ("0.5MB", Budget(bytes=5e5)),
        ("1.5 s", Budget(1500)),
        ("800 us,300 KB", Budget(0.8, 3e5)),
    ],
)
def test_budgets(text: str, budget: Budget) -> None:
    assert parse_budget(text) == budget


@pytest.mark.parametrize("text", ["", "8", "8 ms, 9 ms", "0 ms", "-1 ms", "fast", "8 minutes", "nan ms", "1e9 ms"])
def test_what_is_no_budget_is_told(text: str) -> None:
    with pytest.raises(UserError, match="not a time or a size"):
        parse_budget(text)


def test_costs_are_those_of_the_network() -> None:
    size = InputSpec(160, 224)
    spec = ModelSpec("x", "shufflenet_v2_0.5x", "ssdlite_fpn", size, ("a", "b", "c"), (1, 2, 3))
    network = detector_from_spec(spec).eval()
    costs = costs_of(Shape("shufflenet_v2_0.5x", "ssdlite_fpn", 160, 224, 3))
    assert costs.macs == pytest.approx(count_macs(network, 160, 224) / 1e6, rel=5e-3)
    assert costs.parameters == count_parameters(network)
    assert (costs.finest_stride, costs.top1) == (8, 60.3)
    assert costs_of(Shape("shufflenet_v2_0.5x", "faster_rcnn", 320, 320, 3)).finest_stride == 16


def test_forecasts_of_what_is_not_in_the_table(table: LatencyTable) -> None:
    model = ForecastModel(table, "float16")
    for shape in (
        Shape("shufflenet_v2_1x", "ssdlite_fpn", 320, 320, 6),
        Shape("ghostnet_0.5x", "ssdlite_fpn", 192, 352, 6),
        Shape("mobilenet_v1_0.75x", "ssdlite_fpn", 224, 224, 6),
    ):
        forecast = model(shape)
        assert forecast.ms == pytest.approx(milliseconds(shape), rel=0.05)
        assert forecast.bytes == pytest.approx(row_of(shape).bytes, rel=0.05)
        assert not forecast.measured
    known = table.rows[4]
    assert model(known.shape).ms == pytest.approx(milliseconds(known.shape))
    assert model(known.shape).measured
    assert model.error() < 0.1


def test_chance_grows_with_size_and_is_half_at_two_strides() -> None:
    assert chance_by_size(np.array([2.0])) == 0.5
    assert chance_by_size(np.array([100.0])) > 0.97
    assert chance_by_size(np.array([0.0])) == 0


def test_inputs_have_the_shape_of_the_pictures(patch_data: Path) -> None:
    dataset = load_split(patch_data, "val")
    wide = dataclasses.replace(
        dataset, images=tuple(dataclasses.replace(i, width=1920, height=1080) for i in dataset.images)
    )
    assert (320, 320) in input_sides(wide)
    assert (256, 416) in input_sides(wide)
    assert all(height % 32 == 0 and width % 32 == 0 for height, width in input_sides(wide))
    square = dataclasses.replace(
        dataset, images=tuple(dataclasses.replace(i, width=640, height=640) for i in dataset.images)
    )
    assert all(height == width for height, width in input_sides(square))


def test_choice_is_the_best_that_fits(table: LatencyTable, patch_data: Path, few_backbones: None) -> None:
    dataset = load_split(patch_data, "val")
    config = PlanConfig(data=str(patch_data), budget="", detectors=("ssdlite_fpn",))
    plan = make_plan(config, Budget(ms=12), table, dataset)
    assert plan.choice
    assert plan.choice.forecast.ms <= 12
    assert plan.unranked == 1
    within = [c for c in plan.frontier if c.forecast.ms <= 12]
    assert plan.choice == max(within, key=lambda c: c.order)
    assert list(plan.frontier) == frontier(plan.frontier)
    assert f"--backbone {plan.choice.shape.backbone}" in plan.commands[0]
    assert plan.tiles
    assert plan.tiles.runs >= 1
    assert plan.tiles.below_stride <= plan.choice.below_stride
    small = make_plan(config, Budget(bytes=plan.choice.forecast.bytes * 0.5), table, dataset)
    assert small.choice is None or small.choice.forecast.bytes <= plan.choice.forecast.bytes * 0.5
    assert make_plan(config, Budget(ms=1e-3), table, dataset).choice is None


def test_commands_read_the_data_as_the_plan_does(table: LatencyTable, patch_data: Path, few_backbones: None) -> None:
    config = PlanConfig(data="my data", budget="", detectors=("ssdlite_fpn",), train_set="trainval", val_share=0.25)
    train, export, evaluate = make_plan(config, Budget(ms=12), table, load_split(patch_data, "val")).commands
    for command in (train, evaluate):
        assert "--data 'my data' --train-set trainval --val-share 0.25 " in command
    assert "--data" not in export


def test_command(
    table: LatencyTable,
    patch_data: Path,
    few_backbones: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MOBILEDET_CACHE", str(tmp_path))
    options = ["plan", "--data", str(patch_data), "--detectors", "ssdlite_fpn", "--budget"]
    assert main([*options, "12 ms"]) == 2
    assert "measure it once: mobiledet profile --all --device local --threads 1" in capsys.readouterr().err
    write_table(tmp_path / "latencies" / "local-1-threads.json", table)
    assert main([*options, "12 ms"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "nine of ten errors are at most" in told
    assert "mobiledet train --data" in told
    assert main([*options, "12 ms, 1 GB"]) == 2
    assert main([*options, "1 us"]) == 3
    capsys.readouterr()
    assert main([*options, "12 ms", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["budget"] == {"ms": 12.0, "bytes": None}
    for more in (["--precisions", "int4"], ["--detectors", "yolo"]):
        assert main([*options, "12 ms", *more]) == 2


def test_damaged_tables_are_told(table: LatencyTable, tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    write_table(path, table)
    assert read_table(path) == table
    values = json.loads(path.read_text())
    for change, words in (
        ({"kind": "mobiledet result"}, "not a latency table"),
        ({"schema_version": 9}, "of version 9"),
        ({"rows": [{**values["rows"][0], "timings": []}]}, "timings"),
        ({"threads": "two"}, "threads"),
    ):
        path.write_text(json.dumps({**values, **change}))
        with pytest.raises(UserError, match=words):
            read_table(path)
    few = dataclasses.replace(table, rows=table.rows[:5])
    with pytest.raises(UserError, match="has 5 files of float16, 8 are needed"):
        ForecastModel(few, "float16")
