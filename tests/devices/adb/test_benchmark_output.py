"""Forms in which releases of benchmark_model print, put together after logs that people have published."""

import pytest

from mobiledet.devices.adb.benchmark_output import RunTimes, ToolFigures, parse
from mobiledet.errors import UserError

SUMMARY = "Inference timings in us: Init: 4700, First inference: 2100, Warmup (avg): 1800, Inference (avg): 1500.5\n"
NEW = f"""\
INFO: STARTING!
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
VERBOSE: Replacing 120 out of 150 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 3 partitions.
INFO: count=11 first=2100 curr=1790 min=1700 max=2100 avg=1800 std=99 p5=1700 median=1790 p95=2100

INFO: count=50 first=1510 curr=1499 min=1400 max=1700 avg=1500.5 std=42 p5=1410 median=1499 p95=1600

INFO: {SUMMARY}\
INFO: Memory footprint delta from the start of the tool (MB): init=2.5 overall=6.125
"""
OLD = f"""\
STARTING!
count=1 curr=11403859

count=50 first=1510 curr=1499 min=1400 max=1700 avg=1.5005e+03 std=42

{SUMMARY.replace("1800", "1.14039e+07")}\
Peak memory footprint (MB): init=4.9 overall=138.8
"""


def test_new_form() -> None:
    warmup = RunTimes(11, 2100, 1700, 2100, 1800, 99, 1700, 1790, 2100)
    timed = RunTimes(50, 1510, 1400, 1700, 1500.5, 42, 1410, 1499, 1600)
    assert parse(NEW) == ToolFigures(4700, 2100, warmup, timed, 6.125, "xnnpack", 0.8)


def test_old_form_lacks_percentiles_and_delegates() -> None:
    warmup = RunTimes(1, 11403859, 11403859, 11403859, 11403859, 0, None, None, None)
    timed = RunTimes(50, 1510, 1400, 1700, 1500.5, 42, None, None, None)
    assert parse(OLD) == ToolFigures(4700, 2100, warmup, timed, 138.8, "cpu", None)


def test_all_runs_the_same_and_no_warm_up() -> None:
    figures = parse(f"I tflite  : count=0\nI tflite  : count=7 curr=33(all same)\nI tflite  : {SUMMARY}")
    assert figures.warmup is None
    assert figures.timed == RunTimes(7, 33, 33, 33, 33, 0, None, None, None)


@pytest.mark.parametrize(
    ("line", "actual", "share"),
    [
        (
            "Explicitly applied GPU delegate, and the model graph will be completely executed by the delegate.",
            "gpu",
            1.0,
        ),
        ("applied GPU delegate, and the model graph will be partially executed by the delegate w/ 2", "gpu", None),
        (
            "Though GPU delegate is explicitly applied, the model graph will not be executed by the delegate.",
            "cpu",
            None,
        ),
        ("Applied XNNPACK delegate, and the model graph will be completely executed", "xnnpack", 1.0),
    ],
)
def test_accelerator(line: str, actual: str, share: float | None) -> None:
    figures = parse(f"INFO: {line}\n{OLD}")
    assert (figures.actual, figures.delegated_share) == (actual, share)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "benchmark_model timed nothing: it printed nothing"),
        ("STARTING!\nERROR: Failed to load model.tflite\nBenchmarking failed.\n", "nothing: ERROR: Failed to load"),
        (f"count=0\n{SUMMARY}", "benchmark_model timed nothing"),
        ("sh: ./benchmark_model: not executable: 64-bit ELF file\n", "not executable: 64-bit ELF"),
    ],
)
def test_output_without_figures_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse(text)
