"""The real adb client, with phones that are doubles: of adbd in ``adbd_double.py``, of the rest here."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REAL_FEATURES = "shell_v2,cmd"
COMMANDS = ("am", "cmd", "date", "dumpsys", "getprop", "logcat", "nproc", "pidof", "pm", "settings", "svc")
ACTIVITIES = "  mResumedActivity: ActivityRecord{{1234 u0 {} t12}}\n"
# written after the source of Android's ThermalManagerService and BatteryService
THERMAL = """\
IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 2
Thermal Status: {status}
Cached temperatures:
\tTemperature{{mValue=30.1, mType=3, mName=skin, mStatus=0}}
HAL Ready: true
Current temperatures from HAL:
\tTemperature{{mValue=41.25, mType=0, mName=CPU0, mStatus=0}}
\tTemperature{{mValue=36.5, mType=3, mName=skin, mStatus=1}}
Current cooling devices from HAL:
\tCoolingDevice{{mValue=0, mType=2, mName=thermal-cpufreq-0}}
"""
BATTERY = """\
Current Battery Service state:
  AC powered: false
  USB powered: true
  Max charging current: 500000
  status: 2
  health: 2
  present: true
  level: 43
  scale: 50
  voltage: 4123
  temperature: 291
  technology: Li-ion
"""


class PhoneDouble:
    """What the commands of the phone know, and the app that they start.

    Args:
        state: folder that the commands see as $STATE.
        commands: folder for the commands.
    """

    def __init__(self, state: Path, commands: Path) -> None:
        self.state = state
        self._ended = threading.Event()
        self.agents: list[subprocess.Popen[str]] = []
        state.mkdir(parents=True, exist_ok=True)
        commands.mkdir(parents=True, exist_ok=True)
        script = (HERE / "phone_commands.sh").read_text()
        for name in COMMANDS:
            (commands / name).write_text(script)
            (commands / name).chmod(0o755)
        self.write("installed", "")
        self.write("settings.stay_on_while_plugged_in", "0\n")
        self.write("settings.low_power", "0\n")
        self.write("dumpsys.thermalservice", THERMAL.format(status=1))
        self.write("dumpsys.battery", BATTERY)
        self.write("dumpsys.activity", ACTIVITIES.format("dev.mobiledet.app/.EvalActivity"))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def write(self, name: str, text: str) -> None:
        (self.state / name).write_text(text)

    def read(self, name: str) -> str:
        path = self.state / name
        return path.read_text().strip() if path.exists() else ""

    def wait_for(self, name: str, text: str, seconds: float = 15) -> None:
        """Until a file of the phone holds a text."""
        end = time.monotonic() + seconds
        while self.read(name) != text:
            assert time.monotonic() < end, f"{name} is {self.read(name)!r}, not {text!r}; {self.read('log')}"
            time.sleep(0.05)

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        for agent in self.agents:
            agent.kill()
            agent.wait()

    def _serve(self) -> None:
        """Start the app when the activity manager is asked to."""
        request = self.state / "start"
        while not self._ended.wait(0.02):
            if request.exists():
                words = request.read_text().split()
                extras = {words[i + 1]: words[i + 2] for i, word in enumerate(words) if word in ("--es", "--ei")}
                self._start(extras)
                request.unlink()

    def _start(self, extras: dict[str, str]) -> None:
        token = self.state / "token"
        token.write_text(extras["token"])
        command = [sys.executable, "-m", "mobiledet.cli", "agent", "--port", extras["port"], "--token-file", str(token)]
        if "cpus" in extras:
            command = ["taskset", extras["cpus"], *command]
        command += ["--cache", str(self.state / "cache")]
        if (self.state / "mute").exists():  # an app that runs, and serves nothing
            command = ["sleep", "60"]
        agent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.agents.append(agent)
        self.write("pid", f"{agent.pid}\n")


@dataclass
class ConnectedPhone:
    """A phone that the adb client sees.

    Attributes:
        address: for --device.
        serial: for adb.
        double: what its commands know.
        storage: stands for /data/local/tmp.
        unplug: pulls the cable.
    """

    address: str
    serial: str
    double: PhoneDouble
    storage: Path
    unplug: Callable[[], None]


@pytest.fixture(scope="session")
def adb(real_program: Callable[[str, str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The real adb client with a server of its own, on a free port."""
    program = real_program("adb", "adb")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANDROID_ADB_SERVER_PORT", port)
        patch.setenv("ADB_LOCAL_TRANSPORT_MAX_PORT", "5554")  # no looking for emulators from 5555 on
        patch.setenv("HOME", str(tmp_path_factory.mktemp("adb-home")))  # it keeps its keys there
        patch.delenv("ANDROID_SERIAL", raising=False)
        yield program
        subprocess.run([program, "kill-server"], capture_output=True)


@pytest.fixture
def plug_in(adb: str, tmp_path: Path) -> Iterator[Callable[..., ConnectedPhone]]:
    """Plugs a phone in: ``(features, auth)`` as in ``adbd_double.py``.

    With MOBILEDET_ADBD_ROOT, as set by `make test-adbd`, the daemon is the real one in that folder, and tests that ask
    for another daemon than it is are skipped.
    """
    real_root = os.environ.get("MOBILEDET_ADBD_ROOT")
    phones: list[ConnectedPhone] = []

    def plug(features: str = REAL_FEATURES, auth: str = "none") -> ConnectedPhone:
        if real_root and (phones or features != REAL_FEATURES or auth != "none"):
            pytest.skip("the real adbd is one at a time, has its own features and lets anyone in")
        root = Path(real_root) if real_root else tmp_path / f"phone-{len(phones)}"
        for name in ("state", "commands", "data"):
            shutil.rmtree(root / name, ignore_errors=True)
        double = PhoneDouble(root / "state", root / "commands")
        (root / "data/local/tmp").mkdir(parents=True)
        daemon, serial = _real_daemon(root) if real_root else _double_daemon(root, features, auth)

        def unplug() -> None:
            daemon.terminate()
            daemon.wait(20)

        phones.append(ConnectedPhone(f"adb:{serial}", serial, double, root / "data/local/tmp", unplug))
        end = time.monotonic() + 10
        while "connected to" not in subprocess.run([adb, "connect", serial], capture_output=True, text=True).stdout:
            assert auth == "refuse" or time.monotonic() < end, "adb cannot connect"
            if auth == "refuse":
                break
            time.sleep(0.1)
        return phones[-1]

    yield plug
    for phone in phones:
        subprocess.run([adb, "disconnect", phone.serial], capture_output=True)
        phone.unplug()
        phone.double.close()


def _double_daemon(root: Path, features: str, auth: str) -> tuple["subprocess.Popen[str]", str]:
    path = f"{root / 'commands'}{os.pathsep}{os.environ['PATH']}"
    daemon = subprocess.Popen(
        [sys.executable, str(HERE / "adbd_double.py"), str(root), features, auth],
        env={**os.environ, "PATH": path, "STATE": str(root / "state")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert daemon.stdout
    return daemon, f"127.0.0.1:{daemon.stdout.readline().strip()}"


def _real_daemon(root: Path) -> tuple["subprocess.Popen[str]", str]:
    command = ["chroot", str(root), "/usr/sbin/adbd"]
    daemon = subprocess.Popen(
        command, env={"PATH": "/commands:/usr/bin:/usr/sbin"}, stderr=subprocess.DEVNULL, text=True
    )
    return daemon, "127.0.0.1:5555"
