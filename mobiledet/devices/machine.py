"""Description and state of this machine, as far as they can be read without special permissions."""

import os
import platform
from pathlib import Path

from mobiledet.devices.base import DeviceState
from mobiledet.processes.cores import EMULATOR, is_x86


def machine_model() -> str:
    """The name of the board or computer; the architecture if the name is unknown."""
    for source in ("/proc/device-tree/model", "/sys/class/dmi/id/product_name"):
        name = _read(Path(source)).strip("\0 \n")
        if name:
            return name
    return platform.machine()


def cpu_name() -> str:
    """The name of the processor; the architecture if the name is unknown."""
    fields = dict(line.partition(":")[::2] for line in _read(Path("/proc/cpuinfo")).splitlines())
    named = {key.strip(): value.strip() for key, value in fields.items()}
    return named.get("model name") or named.get("Hardware") or platform.processor() or platform.machine()


def os_name() -> str:
    """Distribution and kernel, such as ``Debian GNU/Linux 12 (bookworm), Linux 6.1.0``."""
    kernel = f"{platform.system()} {platform.release()}"
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {kernel}"
    except (OSError, KeyError):
        return kernel


def emulator() -> str:
    """The emulator that this process runs in, whose times are meaningless; empty on a real processor.

    User-mode emulators that we start are named by an environment variable (``EMULATOR``). In a container for another
    architecture, the kernel still reports the real processor.
    """
    named = os.environ.get(EMULATOR, "")
    foreign = not is_x86() and _read(Path("/sys/devices/system/cpu/modalias")).startswith("cpu:type:x86")
    return named or ("an emulator" if foreign else "")


def memory_bytes() -> int | None:
    """Current memory of this process in bytes; None if unknown."""
    return _status_bytes("VmRSS")


def machine_state() -> DeviceState:
    """Memory of this process, temperatures and load of this machine."""
    return DeviceState(
        memory_bytes=memory_bytes(),
        peak_memory_bytes=_status_bytes("VmHWM"),
        temperatures_c=_temperatures(Path("/sys/class/thermal")),
        thermal_status=None,
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    )


def _temperatures(folder: Path) -> dict[str, float]:
    """Degrees Celsius of each zone under ``folder``, laid out as Linux does: ``thermal_zoneN/{type,temp}``."""
    temperatures = {}
    for zone in sorted(folder.glob("thermal_zone*")):
        millidegrees = _read(zone / "temp").strip()
        if millidegrees.lstrip("-").isdigit():
            temperatures[f"{zone.name} {_read(zone / 'type').strip()}".strip()] = int(millidegrees) / 1000
    return temperatures


def _status_bytes(field: str) -> int | None:
    for line in _read(Path("/proc/self/status")).splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    return None


def _read(path: Path) -> str:
    """The text of a file; empty if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
