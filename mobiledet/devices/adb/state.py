"""The state of a phone from its system services: temperatures, battery, power saving, foreground app."""

import dataclasses
import re

from mobiledet.devices.adb.app import is_foreground
from mobiledet.devices.adb.client import Phone
from mobiledet.devices.base import DeviceState

# android.os.PowerManager.THERMAL_STATUS_*
THERMAL_STATUS = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
BATTERY_STATUS_CHARGING, BATTERY_STATUS_FULL = 2, 5


def phone_state(phone: Phone) -> DeviceState:
    """The state that the system reports, which does not include the memory of the app."""
    heat = parse_thermal(phone.shell("dumpsys", "thermalservice").output)
    battery = parse_battery(phone.shell("dumpsys", "battery").output)
    saving = phone.shell("settings", "get", "global", "low_power").output.strip()
    return DeviceState(
        memory_bytes=None,
        peak_memory_bytes=None,
        temperatures_c={**heat.temperatures_c, **battery.temperatures_c},
        thermal_status=heat.thermal_status,
        load=None,
        foreground=is_foreground(phone),
        battery=battery.battery,
        charging=battery.charging,
        power_saving={"0": False, "1": True}.get(saving),
    )


def parse_thermal(text: str) -> DeviceState:
    """Parse ``dumpsys thermalservice`` (Android 10 and newer): status, and temperatures by the name of the sensor.

    The service prints cached temperatures first and current ones afterwards, so later values replace earlier ones.
    """
    status = re.search(r"^Thermal Status: (\d+)", text, re.MULTILINE)
    number = int(status[1]) if status else -1
    readings = re.findall(r"Temperature\{mValue=(-?[\d.]+(?:E-?\d+)?), mType=-?\d+, mName=([^,}]+)", text)
    return DeviceState(
        memory_bytes=None,
        peak_memory_bytes=None,
        temperatures_c={name: round(float(value), 1) for value, name in readings},
        thermal_status=THERMAL_STATUS[number] if 0 <= number < len(THERMAL_STATUS) else None,
        load=None,
    )


def parse_battery(text: str) -> DeviceState:
    """Parse ``dumpsys battery``: charge, whether it is being charged, temperature in tenths of a degree."""
    fields = dict(re.findall(r"^\s*(\w[\w ]*): (-?\w+)\s*$", text, re.MULTILINE))
    level, scale, tenths = (_whole(fields.get(name)) for name in ("level", "scale", "temperature"))
    status = _whole(fields.get("status"))
    return DeviceState(
        memory_bytes=None,
        peak_memory_bytes=None,
        temperatures_c={} if tenths is None else {"battery": tenths / 10},
        thermal_status=None,
        load=None,
        battery=level / scale if level is not None and scale else None,
        charging=None if status is None else status in (BATTERY_STATUS_CHARGING, BATTERY_STATUS_FULL),
    )


def merge(app: DeviceState, phone: DeviceState) -> DeviceState:
    """Combine the state from the app with that from the system; of two thermal states, the worse one is used.

    The app is in the foreground if neither side denies it.
    """
    known = [state.thermal_status for state in (app, phone) if state.thermal_status in THERMAL_STATUS]
    seen = [state.foreground for state in (app, phone) if state.foreground is not None]
    return dataclasses.replace(
        app,
        temperatures_c={**phone.temperatures_c, **app.temperatures_c},
        thermal_status=max(known, key=THERMAL_STATUS.index) if known else app.thermal_status,
        foreground=all(seen) if seen else None,
        battery=phone.battery if app.battery is None else app.battery,
        charging=phone.charging if app.charging is None else app.charging,
        power_saving=phone.power_saving if app.power_saving is None else app.power_saving,
    )


def _whole(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"-?\d+", text) else None
