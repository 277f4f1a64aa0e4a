import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mobiledet.bundle import Bundle
from mobiledet.data.read import load_split
from mobiledet.devices.base import BenchmarkPlan
from mobiledet.devices.local import LocalDevice
from mobiledet.evaluation.latency import LatencyStats
from mobiledet.evaluation.result import Result
from mobiledet.evaluation.run import evaluate


@pytest.fixture(scope="session")
def result(patch_bundle: Bundle, patch_data: Path) -> Result:
    """A real result of the detector of coloured squares."""
    plan = BenchmarkPlan(warmup_runs=2, warmup_seconds=0, warmup_limit_seconds=0, runs=30, seconds=0)
    dataset = load_split(patch_data, "val")
    return evaluate(patch_bundle, patch_bundle.files[0], LocalDevice(), dataset, threads=1, plan=plan)


@pytest.fixture(scope="session")
def variant(result: Result) -> Callable[..., Result]:
    """Makes results of other models, precisions, devices and image lists out of the real one."""

    def make(
        name: str = "alpha-ssdlite",
        precision: str = "float32",
        ms: float = 10,
        ap: float = 0.3,
        device: str = "local",
        images: str = "a",
        size: int = 1000,
    ) -> Result:
        assert result.accuracy
        assert result.latency
        samples = np.random.default_rng(0).normal(ms * 1e6, ms * 2e4, 250).astype(int).tolist()
        metrics = dataclasses.replace(result.accuracy.metrics, AP=ap)
        return dataclasses.replace(
            result,
            spec=dataclasses.replace(result.spec, name=name),
            file=dataclasses.replace(result.file, precision=precision, path=f"model.{precision}.tflite", bytes=size),
            device=dataclasses.replace(result.device, name=device),
            bundle_sha256=name.encode().hex(),
            accuracy=dataclasses.replace(result.accuracy, metrics=metrics, images_sha256=images),
            latency=dataclasses.replace(result.latency, infer=LatencyStats.of(samples)),
            command=f"mobiledet evaluate {name}.mobiledet",
        )

    return make
