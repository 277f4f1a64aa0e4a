"""A latency measured by another tool, to check that ours is plausible. Without accuracy or golden gate."""

import dataclasses
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mobiledet.bundle import ModelFile, open_bundle
from mobiledet.devices.adb.benchmark_model import run_benchmark_model
from mobiledet.devices.adb.benchmark_output import ToolFigures
from mobiledet.devices.base import BenchmarkPlan, DeviceInfo, DeviceState, Execution
from mobiledet.errors import UserError
from mobiledet.evaluation.config import EvaluateConfig
from mobiledet.evaluation.plan import benchmark_plan
from mobiledet.evaluation.result import default_out
from mobiledet.files.atomic import atomic_file
from mobiledet.records import RECORD_BYTES, decode
from mobiledet.spec import ModelSpec, read_json

KIND = "mobiledet cross-check"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class CrossCheck:
    """The timing of one model file by another tool.

    Attributes:
        created: time of creation, UTC, ISO 8601.
        command: command line of mobiledet.
        bundle_sha256, spec, file: as in ``Result``.
        device, execution: as in ``Result``; the runtime is the tool.
        plan: requested duration of the measurement.
        figures: measurements of the tool.
        states: states of the device before and after.
        tool_command: command line of the tool.
        output: output of the tool.
    """

    created: str
    command: str
    bundle_sha256: str
    spec: ModelSpec
    file: ModelFile
    device: DeviceInfo
    execution: Execution
    plan: BenchmarkPlan
    figures: ToolFigures
    states: tuple[DeviceState, ...]
    tool_command: str
    output: str


def measure_cross_check(config: EvaluateConfig, command: str) -> CrossCheck:
    """Measure a model file with ``--tool benchmark_model``.

    Raises:
        UserError: it does not support one of the options, or the tool does not run.
    """
    if not config.device.startswith("adb"):
        raise UserError(f"--tool benchmark_model runs on Android phones, adb:SERIAL, not on {config.device}")
    if config.benchmark_binary is None:
        raise UserError(
            "--tool benchmark_model needs --benchmark-binary FILE: the tool built for the phone, "
            "as LiteRT's measurement guide says"
        )
    if config.data or config.images:
        raise UserError("benchmark_model measures no mAP; leave out --data and --images")
    plan = benchmark_plan(config)
    if plan.fps:
        raise UserError("benchmark_model cannot run at a given rate; leave out --fps")
    bundle = open_bundle(config.bundle)
    file = bundle.choose(config.file or config.precision, config.accelerator)
    if file.format != "tflite":
        raise UserError(f"benchmark_model runs .tflite files, not {file.path}")
    run = run_benchmark_model(
        config.device,
        config.benchmark_binary,
        bundle.root / file.path,
        plan,
        config.accelerator,
        config.threads,
        config.phone,
    )
    return CrossCheck(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        bundle_sha256=bundle.sha256,
        spec=bundle.spec,
        file=file,
        device=run.device,
        execution=run.execution,
        plan=plan,
        figures=run.figures,
        states=run.states,
        tool_command=run.command,
        output=run.output,
    )


def default_cross_check_path(config: EvaluateConfig) -> Path:
    """The default output file: results/MODEL-SHA256-FILE-DEVICE-benchmark_model.json."""
    bundle = open_bundle(config.bundle)
    file = bundle.choose(config.file or config.precision, config.accelerator)
    return default_out(bundle, file, f"{config.device}-benchmark_model")


def write_cross_check(path: Path, check: CrossCheck) -> None:
    """Write a cross-check as JSON, completely or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    values = {"kind": KIND, "schema_version": SCHEMA_VERSION, **dataclasses.asdict(check), "spec": check.spec.record()}
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def is_cross_check(path: Path) -> bool:
    """Whether a JSON file contains a cross-check.

    Raises:
        UserError: the file cannot be read.
    """
    values = read_json(path, RECORD_BYTES)
    return isinstance(values, dict) and values.get("kind") == KIND


def read_cross_check(path: Path) -> CrossCheck:
    """Read a cross-check from a JSON file.

    Raises:
        UserError: the file cannot be read or is not a cross-check.
    """
    values: Any = read_json(path, RECORD_BYTES)
    if not isinstance(values, dict) or values.get("kind") != KIND:
        raise UserError(f"{path} is not a cross-check of mobiledet evaluate --tool benchmark_model")
    if values.get("schema_version") != SCHEMA_VERSION:
        version = values.get("schema_version")
        raise UserError(f"{path}: schema version {version} is not {SCHEMA_VERSION}; use the matching mobiledet")
    try:
        fields = {key: value for key, value in values.items() if key not in ("kind", "schema_version")}
        check: CrossCheck = decode(CrossCheck, fields, filled=(ModelFile,))
        return check
    except ValueError as error:
        raise UserError(f"{path} is a damaged cross-check: {error}; measure again") from error
