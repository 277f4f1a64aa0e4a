"""``--tool benchmark_model``: the real adb client, and doubles of the tool, a shell script, and of the phone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mobiledet import cli
from mobiledet.bundle import Bundle
from mobiledet.evaluation.cross_check import read_cross_check
from mobiledet.evaluation.result import read_result

TOOL = """\
#!/bin/sh
# a double of benchmark_model: prints what the real one prints, once it has found its files
[ -s model.tflite ] || { echo "ERROR: Failed to load $1"; exit 1; }
echo "$*" >arguments.txt; cp arguments.txt ../arguments.txt
echo "INFO: Created TensorFlow Lite XNNPACK delegate for CPU."
echo "INFO: count=10 first=2100 curr=1790 min=1700 max=2100 avg=1800 std=99 p5=1700 median=1790 p95=2100"
echo "INFO: count=50 first=1510 curr=1499 min=1400 max=1700 avg=1500.5 std=42 p5=1410 median=1499 p95=1600"
echo "INFO: Inference timings in us: Init: 4700, First inference: 2100, Warmup (avg): 1800, Inference (avg): 1500.5"
"""


def test_tool_runs_on_the_phone_and_is_told_beside_results(
    plug_in: Callable[..., Any], patch_bundle: Bundle, tmp_path: Path, parse: Callable[[str], Any]
) -> None:
    phone = plug_in()
    phone.double.write("getprop.ro.product.model", "Double")
    tool, out, result, page = (tmp_path / name for name in ("tool", "check.json", "result.json", "report.html"))
    tool.write_text(TOOL)
    arguments = ["evaluate", str(patch_bundle.path), "--device", phone.address, "--threads", "2", "--accelerator"]
    options = ["--tool", "benchmark_model", "--benchmark-binary", str(tool), "--cpus", "0", "--out", str(out)]
    assert cli.main([*arguments, "xnnpack", *options]) == 0
    check = read_cross_check(out)
    assert (check.device.name, check.device.model, check.device.runtime) == (phone.address, "Double", "benchmark_model")
    assert (check.execution.actual, check.execution.threads) == ("xnnpack", 2)
    assert check.figures.timed.mean_us == 1500.5
    assert check.states[0].temperatures_c["battery"] == 29.1
    given = (phone.storage / "arguments.txt").read_text()
    assert "--graph=model.tflite --num_threads=2 --warmup_runs=10" in given
    assert check.tool_command.startswith("taskset 1 ./benchmark_model ")
    assert [path.name for path in phone.storage.iterdir()] == ["arguments.txt"]
    assert phone.double.read("settings.stay_on_while_plugged_in") == "0"

    arguments = ["evaluate", str(patch_bundle.path), "--threads", "2", "--no-accuracy", "--min-seconds", "0.1"]
    arguments += ["--warmup-limit-seconds", "0.5", "--warmup-seconds", "0.1"]
    assert cli.main([*arguments, "--device", phone.address, "--out", str(result)]) == 0
    ours = read_result(result).latency
    assert ours is not None
    assert cli.main(["report", str(out), str(result), "--out", str(page)]) == 0
    text = parse(page.read_text()).text
    section = text[text.index("\nCross-checks\n", text.index("All results")) :]
    assert f"{1.5005 / ours.infer.mean_ms:.2f}" in section
    assert cli.main(["report", str(out)]) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--device", "local"], "runs on Android phones"),
        (["--device", "adb"], "needs --benchmark-binary FILE"),
        (["--device", "adb", "--benchmark-binary", "nowhere"], "--benchmark-binary nowhere: there is no such file"),
        (["--device", "adb", "--benchmark-binary", "x", "--data", "shapes"], "measures no mAP; leave out --data"),
        (
            ["--device", "adb", "--benchmark-binary", "x", "--accelerator", "npu"],
            "unknown accelerator of benchmark_model",
        ),
    ],
)
def test_options_that_do_not_fit_it(
    options: list[str], message: str, patch_bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", str(patch_bundle.path), "--tool", "benchmark_model", *options]) == 2
    assert message in capsys.readouterr().err
