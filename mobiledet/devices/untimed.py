"""Runtimes whose times are meaningless, so that results contain no latency."""

from mobiledet.devices.coreai import RUNTIME as COREAI

EMULATED = "litert-emulated"
INTERPRETER = "mobiledet MIL interpreter"

UNTIMED = {
    EMULATED: "the times of an emulator say nothing about a real processor",
    INTERPRETER: "the times of the reference interpreter say nothing about a device",
    COREAI: "the times of Apple's runtime on this processor say nothing about Apple's systems",
}


def why_untimed(runtime: str) -> str:
    """Why the times of a runtime (``DeviceInfo.runtime``) are meaningless; empty if they are not."""
    return UNTIMED.get(runtime, "")
