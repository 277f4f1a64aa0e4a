"""Options of the command devices. Imports nothing heavy, so that its help appears at once."""

from dataclasses import dataclass

from tyro.conf import Positional


@dataclass(frozen=True)
class DevicesConfig:
    """List what `mobiledet evaluate --device` can reach: this machine, phones, emulated ARM processors, agents.

    Android phones are listed by adb, iPhones by devicectl (part of Xcode) or pymobiledevice3, if such a tool is
    installed. Agents are contacted only at the addresses that you give. The command changes nothing on any device.

    For example:
      mobiledet devices
      mobiledet devices http://192.168.0.7:8765 http://board:8765
    """

    agents: Positional[tuple[str, ...]] = ()
    """Addresses of agents, http://HOST:PORT."""
    token: str = ""
    """Token of the agents; by default the environment variable MOBILEDET_AGENT_TOKEN. Without a token, only their
    presence and version are checked."""
    json: bool = False
    """Print the list as JSON instead of a table."""
