"""Runs TensorFlow Lite's ``benchmark_model`` on a phone, for an independent measurement of latency."""

import hashlib
import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mobiledet.devices.adb.benchmark_output import ToolFigures, parse
from mobiledet.devices.adb.client import Phone, choose_serial, find_adb
from mobiledet.devices.adb.keeper import PhonePreparation
from mobiledet.devices.adb.state import phone_state
from mobiledet.devices.base import BenchmarkPlan, DeviceInfo, DeviceState, Execution
from mobiledet.devices.options import PhoneOptions
from mobiledet.errors import UserError, unknown_name

FOLDER = "/data/local/tmp"
# accelerator -> the tool's flags
ACCELERATORS = {
    "auto": (),
    "cpu": ("--use_xnnpack=false",),
    "xnnpack": ("--use_xnnpack=true",),
    "gpu": ("--use_gpu=true",),
}
MARGIN_SECONDS = 120.0
DEFAULT_THREADS = 4  # at most, as LiteRtModel.kt


@dataclass(frozen=True)
class ToolRun:
    """One run of the tool.

    Attributes:
        device: the phone; its runtime is the tool, named by the first digits of its SHA-256.
        execution: execution as reported by the tool.
        figures: measurements of the tool.
        states: states of the phone before and after.
        command: command line on the phone.
        output: output of the tool.
    """

    device: DeviceInfo
    execution: Execution
    figures: ToolFigures
    states: tuple[DeviceState, ...]
    command: str
    output: str


def run_benchmark_model(
    address: str,
    binary: Path,
    model: Path,
    plan: BenchmarkPlan,
    accelerator: str,
    threads: int,
    options: PhoneOptions,
) -> ToolRun:
    """Copy the tool and a model file to a phone, run it there, and remove both.

    Args:
        address: ``adb:SERIAL`` or ``adb``.
        binary: the tool, built for the phone.
        model: a .tflite file.
        plan: how long to measure.
        accelerator: one of ``ACCELERATORS``.
        threads: number of CPU threads; 0 is one for each core, at most 4, as in the app.
        options: preparation of the phone; ``app`` is ignored.

    Raises:
        UserError: the phone is not connected, or the tool does not run there, or ran the file on another accelerator.
    """
    if accelerator not in ACCELERATORS:
        raise unknown_name("accelerator of benchmark_model", accelerator, ACCELERATORS)
    if not binary.is_file():
        raise UserError(f"--benchmark-binary {binary}: there is no such file")
    mask = options.cpu_mask()
    adb = find_adb()
    phone = Phone(adb, choose_serial(adb, address.partition(":")[2]))
    preparation = PhonePreparation(phone, options.fixed_performance)
    try:
        device = _describe(phone, binary)
        threads = threads or min(DEFAULT_THREADS, device.cores)
        with _copied(phone, binary, model) as folder:
            command = shlex.join(
                [
                    *(("taskset", mask) if mask else ()),
                    "./benchmark_model",
                    "--graph=model.tflite",
                    f"--num_threads={threads}",
                    f"--warmup_runs={plan.warmup_runs}",
                    f"--warmup_min_secs={plan.warmup_seconds:g}",
                    f"--num_runs={plan.runs}",
                    f"--min_secs={plan.seconds:g}",
                    f"--max_secs={plan.seconds + MARGIN_SECONDS:g}",
                    *ACCELERATORS[accelerator],
                ]
            )
            before = phone_state(phone)
            longest = plan.warmup_seconds + plan.seconds + 2 * MARGIN_SECONDS
            answer = phone.shell("sh", "-c", f"cd {folder} && {command} </dev/null 2>&1", seconds=longest)
            after = phone_state(phone)
    finally:
        preparation.close()
    figures = parse(answer.output)
    if accelerator not in ("auto", figures.actual):
        raise UserError(f"benchmark_model on {phone.name} fell back from {accelerator} to {figures.actual}")
    execution = Execution(accelerator, figures.actual, figures.delegated_share, threads)
    return ToolRun(device, execution, figures, (before, after), command, answer.output)


def _describe(phone: Phone, binary: Path) -> DeviceInfo:
    names = ("ro.product.manufacturer", "ro.product.model", "ro.build.version.release", "ro.build.id", "ro.soc.model")
    values = [phone.shell("getprop", name).output.strip() for name in (*names, "ro.hardware")]
    cores = phone.shell("nproc").output.strip()
    with binary.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return DeviceInfo(
        name=phone.name,
        model=f"{values[0]} {values[1]}".strip() or "unknown",
        os=f"Android {values[2]} {values[3]}".strip(),
        cpu=values[4] or values[5] or "unknown",
        cores=int(cores) if cores.isdigit() else 1,
        runtime="benchmark_model",
        runtime_version=digest[:12],
    )


@contextmanager
def _copied(phone: Phone, binary: Path, model: Path) -> Iterator[str]:
    """Copy both files to a new folder on the phone, which is removed at the end of the block."""
    folder = f"{FOLDER}/mobiledet-{secrets.token_hex(6)}"
    try:
        phone.shell("mkdir", "-p", folder)
        phone.push(binary, f"{folder}/benchmark_model")
        phone.push(model, f"{folder}/model.tflite")
        phone.shell("chmod", "755", f"{folder}/benchmark_model")
        yield folder
    finally:
        with suppress(UserError):
            phone.shell("rm", "-rf", folder)
