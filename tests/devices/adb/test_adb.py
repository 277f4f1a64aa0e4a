"""The real adb client, a double of the phone, and the Python agent in the place of the app: its detections must be
those of this process, and the phone must be left as it was."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobiledet import cli
from mobiledet.bundle import Bundle
from mobiledet.devices import open_device
from mobiledet.devices.adb import keeper
from mobiledet.devices.agent import connection
from mobiledet.devices.base import BenchmarkPlan
from mobiledet.devices.options import PhoneOptions
from mobiledet.devices.reachable import reachable
from mobiledet.errors import UserError
from mobiledet.evaluation.result import read_result

QUICK = BenchmarkPlan(warmup_runs=2, warmup_seconds=0, runs=7, seconds=0)
STAY_ON = "settings.stay_on_while_plugged_in"
PlugIn = Callable[..., Any]


@pytest.mark.parametrize("features", ["shell_v2,cmd", ""])
def test_phone_gives_the_detections_of_this_process(
    plug_in: PlugIn, features: str, patch_bundle: Bundle, patch_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "RESTORE_SECONDS", 1)  # an old shell does not see the end of its input
    phone = plug_in(features)
    images = sorted((patch_data / "val2017").glob("*.jpg")) * 4
    file = patch_bundle.select()
    local = open_device("local").load(patch_bundle, file, threads=1)
    device = open_device(phone.address)
    assert phone.double.read(STAY_ON) == "7"
    session = device.load(patch_bundle, file, threads=1)
    assert session.golden().cases == 2
    for a, b in zip(local.detect(images), session.detect(images), strict=True):
        np.testing.assert_allclose(b.detections.boxes_xyxy, a.detections.boxes_xyxy, atol=1e-6)
        np.testing.assert_allclose(b.detections.scores, a.detections.scores, atol=1e-6)
        np.testing.assert_array_equal(b.detections.labels, a.detections.labels)
    samples = session.benchmark(QUICK)
    assert samples is not None
    assert len(samples.infer_ns) == 7
    for state in (samples.states[0], samples.states[-1]):
        assert (state.thermal_status, state.battery, state.charging, state.power_saving) == ("light", 0.86, True, False)
        assert (state.temperatures_c["battery"], state.temperatures_c["CPU0"]) == (29.1, 41.2)
        assert state.foreground is True
        assert state.memory_bytes
    assert device.info().name == phone.address
    device.close()
    assert phone.double.read(STAY_ON) == "0"
    assert phone.double.agents[0].wait(10) is not None


def test_evaluate_installs_the_app_and_leaves_nothing(
    plug_in: PlugIn, patch_bundle: Bundle, patch_data: Path, tmp_path: Path, adb: str
) -> None:
    phone = plug_in()
    (phone.double.state / "installed").unlink()
    apk, out = tmp_path / "it's an app.apk", tmp_path / "result.json"
    apk.write_bytes(bytes(range(256)) * 300)
    arguments = [str(patch_bundle.path), "--data", str(patch_data), "--no-latency", "--out", str(out)]
    options = ["--device", phone.address, "--apk", str(apk), "--fixed-performance", "--cpus", "0", "--threads", "1"]
    assert cli.main(["evaluate", *arguments, *options]) == 0
    assert (phone.double.state / "installed").read_bytes() == apk.read_bytes()
    result = read_result(out)
    assert result.device.name == phone.address
    assert result.accuracy is not None
    assert result.accuracy.metrics.AP > 0.99
    assert (phone.double.read(STAY_ON), phone.double.read("fixed_performance")) == ("0", "false")
    assert phone.double.agents[0].wait(10) is not None
    assert not subprocess.run([adb, "forward", "--list"], capture_output=True, text=True).stdout.strip()
    log = phone.double.read("log")
    assert "am start -W -S -n dev.mobiledet.app/.EvalActivity --es token" in log
    assert "--es cpus 1" in log
    assert phone.double.read("token") not in out.read_text()


@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT", "cable"])
def test_phone_puts_itself_back_whatever_happens(plug_in: PlugIn, how: str) -> None:
    phone = plug_in()
    code = "import sys, time; from mobiledet.devices import open_device; device = open_device(sys.argv[1])"
    run = [sys.executable, "-c", f"{code}; print(1, flush=True); time.sleep(60)", phone.address]
    host = subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert host.stdout
    assert host.stdout.readline() == "1\n"
    assert phone.double.read(STAY_ON) == "7"
    if how == "cable":
        phone.unplug()
    else:
        host.send_signal(getattr(signal, how))
    phone.double.wait_for(STAY_ON, "0")
    assert phone.double.agents[0].wait(10) is not None
    host.kill()
    host.wait()


def test_pulled_cable_and_crashed_app_are_told(
    plug_in: PlugIn, patch_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, patch_data: Path
) -> None:
    monkeypatch.setattr(connection, "RETRY_SECONDS", (0, 0.05))
    images = sorted((patch_data / "val2017").glob("*.jpg"))
    phone = plug_in()
    session = open_device(phone.address).load(patch_bundle, patch_bundle.select())
    session.golden()
    phone.double.write("logcat", "E/AndroidRuntime( 12): FATAL EXCEPTION: main\nE/mobiledet( 12): no room for it\n")
    phone.double.agents[0].kill()
    phone.double.agents[0].wait()
    with pytest.raises(UserError, match=rf"the app on {phone.address} has ended: no room for it$"):
        list(session.detect(images))
    phone.unplug()
    with pytest.raises(UserError, match=rf"^{phone.address} .*(plug|offline).*, then run the same command again$"):
        list(session.detect(images))


def test_what_is_measured_in_the_background_is_refused(plug_in: PlugIn, patch_bundle: Bundle) -> None:
    phone = plug_in()
    session = open_device(phone.address).load(patch_bundle, patch_bundle.select())
    session.golden()
    phone.double.write("dumpsys.activity", "  topResumedActivity=ActivityRecord{12 u0 com.android.launcher/.Home t1}\n")
    with pytest.raises(UserError, match="the app is not in the foreground on adb:"):
        session.benchmark(QUICK)


@pytest.mark.parametrize(
    ("broken", "options", "message"),
    [
        ("no_activity", PhoneOptions(), r"did not start on adb:.*EvalActivity\} does not exist.; install the app"),
        (
            "no_fixed_performance",
            PhoneOptions(fixed_performance=True),
            r"no fixed performance mode \(Failed to set FIX",
        ),
        ("port in use", PhoneOptions(), "the log of the app ends with: cannot listen on port 20000"),
        (
            "other key",
            PhoneOptions(),
            "UPDATE_INCOMPATIBLE.*; remove the other one first: adb -s 127",
        ),
        ("", PhoneOptions(app=Path("nowhere.apk")), "--app nowhere.apk: there is no such file"),
        ("", PhoneOptions(cpus="7-4"), "--cpus '7-4' is not a list of cores"),
        (
            "no app",
            PhoneOptions(),
            "the app dev.mobiledet.app is not installed on adb:.*; install it with --app FILE.apk",
        ),
    ],
)
def test_phone_that_is_not_ready_is_told_and_left_alone(
    plug_in: PlugIn, broken: str, options: PhoneOptions, message: str, tmp_path: Path
) -> None:
    phone = plug_in()
    if broken == "no app":
        (phone.double.state / "installed").unlink()
    elif broken == "port in use":
        phone.double.write("mute", "")
        phone.double.write("logcat", "E/mobiledet( 12): cannot listen on port 20000\n")
    elif broken == "other key":
        options = PhoneOptions(app=tmp_path / "of-others.apk")
        (tmp_path / "of-others.apk").write_bytes(b"an app that somebody else signed")
        phone.double.write("refuses_apps", "Failure [INSTALL_FAILED_UPDATE_INCOMPATIBLE: signatures do not match]\n")
    elif broken:
        phone.double.write(broken, "")
    with pytest.raises(UserError, match=message):
        open_device(phone.address, phone=options)
    assert phone.double.read(STAY_ON) == "0"


def test_which_phone(plug_in: PlugIn, adb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="adb sees no device: connect one and enable USB debugging"):
        open_device("adb")
    locked = plug_in(auth="refuse")
    with pytest.raises(UserError, match=rf"^{locked.address} (has not allowed|is offline|is asking)"):
        open_device("adb")
    open_phone = plug_in(auth="accept")
    choices = rf"choose one of (?=.*{locked.address})(?=.*{open_phone.address} \(Double Phone\))"
    with pytest.raises(UserError, match=choices):
        open_device("adb")
    with pytest.raises(UserError, match="adb:9A281FFAZ00 is not connected; adb sees adb:127"):
        open_device("adb:9A281FFAZ00")
    open_device(f"adb:{open_phone.serial}").close()
    (open_phone.double.state / "installed").unlink()
    rows = {row.address: row for row in reachable()}
    assert (rows[open_phone.address].model, rows[open_phone.address].ready) == ("Double Phone", False)
    assert "the app is not installed: give its file with --app" in rows[open_phone.address].note
    assert not rows[locked.address].ready
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="adb is not installed; install it"):
        open_device("adb")


@pytest.mark.parametrize(("cpus", "mask"), [("", ""), ("0", "1"), ("4-7", "f0"), ("0,2-3, 6", "4d")])
def test_cores_become_a_mask(cpus: str, mask: str) -> None:
    assert PhoneOptions(cpus=cpus).cpu_mask() == mask
