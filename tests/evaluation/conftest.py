from pathlib import Path

import pytest

from mobiledet.bundle import Bundle
from mobiledet.data.coco import load_split
from mobiledet.devices.base import BenchmarkPlan
from mobiledet.devices.local import LocalDevice
from mobiledet.evaluation.result import Result
from mobiledet.evaluation.run import evaluate


@pytest.fixture(scope="session")
def result(patch_bundle: Bundle, patch_data: Path) -> Result:
    """A real result of the detector of coloured squares."""
    plan = BenchmarkPlan(warmup_runs=2, warmup_seconds=0, runs=30, seconds=0)
    dataset = load_split(patch_data, "val")
    return evaluate(patch_bundle, patch_bundle.files[0], LocalDevice(), dataset, threads=1, plan=plan)
