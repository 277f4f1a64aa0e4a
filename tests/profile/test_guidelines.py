"""The experiments: their networks, the judgement, and one small run of the whole."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from mobiledet.complexity import layer_costs
from mobiledet.errors import UserError
from mobiledet.evaluation.latency import LatencyStats
from mobiledet.profile import experiments, guidelines
from mobiledet.profile.experiments import EXPERIMENTS, SIDE, Experiment
from mobiledet.profile.guidelines import judge, run_guidelines
from mobiledet.profile.outcome import Measured


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda experiment: experiment.guideline)
def test_networks_of_an_experiment_cost_the_same(experiment: Experiment) -> None:
    """But for whole channels: 9 x 108 is 5 % below 32 x 32."""
    macs = {
        variant.label: sum(cost.macs for cost in layer_costs(variant.build(), SIDE, SIDE, variant.channels))
        for variant in experiment.variants
    }
    assert max(macs.values()) / min(macs.values()) < 1.06, macs


def test_memory_access_grows_as_the_guidelines_say() -> None:
    """The paper's reason for G1 and G2."""
    for experiment in EXPERIMENTS[:2]:
        access = [
            sum(cost.memory_access for cost in layer_costs(variant.build(), SIDE, SIDE, variant.channels))
            for variant in experiment.variants
        ]
        assert access == sorted(access)


def measured(label: str, ms: list[float], paper: float) -> Measured:
    return Measured(label, 1, 1, LatencyStats.of([int(value * 1e6) for value in ms]), paper)


@pytest.mark.parametrize(
    ("first", "last", "verdict"),
    [
        ([1.0, 1.01, 1.02], [1.5, 1.51, 1.52], "holds"),
        ([1.0, 1.01, 1.02], [1.0, 1.02, 1.03], "makes no difference"),
        ([1.5, 1.51, 1.52], [1.0, 1.01, 1.02], "is reversed"),
        ([1.0, 1.01, 9.0], [1.2, 1.3, 9.0], "makes no difference"),  # too noisy to tell
    ],
)
def test_verdict(first: list[float], last: list[float], verdict: str) -> None:
    variants = (measured("good", first, 80.0), measured("odd", [7.0], 70.0), measured("bad", last, 40.0))
    outcome = judge(EXPERIMENTS[0], variants)
    assert outcome.verdict == verdict
    assert outcome.paper_ratio == 2
    assert outcome.steady == (max(first) < 9)
    assert outcome.steady != ("machine was busy" in outcome.sentence)
    assert f"G1 (equal channel widths) {verdict} here: 'bad' takes" in outcome.sentence


def test_experiment_from_networks_to_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter networks than the paper's, two of each of two experiments, for the time."""
    monkeypatch.setattr(experiments, "UNITS", 2)
    short = [replace(EXPERIMENTS[index], variants=EXPERIMENTS[index].variants[::3]) for index in (1, 3)]
    monkeypatch.setattr(guidelines, "EXPERIMENTS", tuple(short))
    with (tmp_path / "terminal.txt").open("w") as terminal:
        run_guidelines(tmp_path / "out", rounds=20, threads=1, console=Console(file=terminal, width=120))
    values = json.loads((tmp_path / "out" / "guidelines.json").read_text())
    assert [outcome["guideline"] for outcome in values["outcomes"]] == ["G2", "G4"]
    for outcome in values["outcomes"]:
        times = [variant["latency"]["p50_ms"] for variant in outcome["variants"]]
        assert outcome["ratio"] == pytest.approx(times[-1] / times[0])
        assert all(variant["latency"]["n"] == 20 for variant in outcome["variants"])
        assert outcome["sentence"] in " ".join((tmp_path / "terminal.txt").read_text().split())
    with Image.open(tmp_path / "out" / "guidelines.png") as picture:
        assert picture.width > picture.height


def test_missing_converter_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guidelines, "missing_package", lambda _: "litert_torch")
    with pytest.raises(UserError, match=r"--guidelines needs litert_torch, .*mobiledet\[tflite\]"):
        run_guidelines(tmp_path / "out", 1, 1, Console(quiet=True))
