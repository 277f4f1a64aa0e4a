"""Runtimes whose times say nothing of a device: their results hold none."""

from mobiledet.devices.coreai import RUNTIME as COREAI

EMULATED = "litert-emulated"
INTERPRETER = "mobiledet MIL interpreter"

UNTIMED = {
    EMULATED: "emulated, and an emulator's times say nothing of a processor",
    INTERPRETER: "this is a reference interpreter, its times say nothing of a device",
    COREAI: "Apple's runtime on this processor, its times say nothing of Apple's systems",
}


def why_untimed(runtime: str) -> str:
    """Why the times of ``DeviceInfo.runtime`` say nothing, in words; empty where they do."""
    return UNTIMED.get(runtime, "")
