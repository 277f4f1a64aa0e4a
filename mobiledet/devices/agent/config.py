"""Options of the commands agent and agent-check. Imports nothing heavy, so that their help appears at once."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class AgentConfig:
    """Serve this machine to `mobiledet evaluate` on another one: a Linux board, or a desktop.

    The agent prints its address and a token, which every request must carry. It listens on this machine alone unless
    --host says otherwise; the traffic is not encrypted, so reach it through `ssh -L` in a network that others use.

    For example:
      mobiledet agent
      mobiledet agent --host 0.0.0.0 --port 8765 --token-file token.txt
    """

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 is every network of this machine."""
    name: tuple[str, ...] = ()
    """More names that requests may call this machine by, besides its addresses, its own name and localhost; others are
    refused, since a web page can have any name lead here."""
    port: int = 0
    """Port; 0 takes a free one."""
    token_file: Path | None = None
    """File with the token; by default MOBILEDET_AGENT_TOKEN of the environment, else a new one at each start."""
    cache: Path | None = None
    """Folder that keeps the bundles; by default mobiledet/agent in the user's cache folder."""
    cache_mb: int = 4096
    """What the bundles there may take in MB; those that were used longest ago make room for new ones."""
    sessions: int = 4
    """Model files that may be loaded at a time."""
    body_mb: int = 512
    """Largest upload in MB (million bytes)."""
    idle_seconds: int = 600
    """A session without a request for so long is closed when another one needs its place."""


@dataclass(frozen=True)
class AgentCheckConfig:
    """Check that an agent, on whatever device, keeps to the protocol. Exits with status 1 when it does not.

    For example:
      mobiledet agent-check http://127.0.0.1:8765 --bundle x.mobiledet --token TOKEN
    """

    url: Positional[str]
    """The agent, http://HOST:PORT."""
    bundle: Path
    """A bundle that the agent's device can run; a small one makes it quick."""
    token: str = ""
    """Of the agent; by default MOBILEDET_AGENT_TOKEN of the environment."""
    file: str = ""
    """Model file or precision of the bundle; by default the first .tflite."""
