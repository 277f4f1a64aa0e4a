"""Options of the command devices. Imports nothing heavy, so that its help appears at once."""

from dataclasses import dataclass

from tyro.conf import Positional


@dataclass(frozen=True)
class DevicesConfig:
    """List what `mobiledet evaluate --device` can reach: this machine, phones, emulated ARM processors, agents.

    Android phones are those that adb sees, iPhones those that devicectl (Xcode) or pymobiledevice3 sees, where such a
    tool is installed. Agents are looked for where you say. Nothing is changed anywhere.

    For example:
      mobiledet devices
      mobiledet devices http://192.168.0.7:8765 http://board:8765
    """

    agents: Positional[tuple[str, ...]] = ()
    """Addresses of agents, http://HOST:PORT."""
    token: str = ""
    """Of the agents; by default MOBILEDET_AGENT_TOKEN of the environment. Without it they are only greeted."""
    json: bool = False
    """Print the list as JSON instead of a table."""
