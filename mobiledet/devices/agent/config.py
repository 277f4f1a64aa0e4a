"""Options of the commands agent and agent-check. Imports nothing heavy, so that their help appears at once."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class AgentConfig:
    """Serve this machine to `mobiledet evaluate` on another one: a Linux board, or a desktop.

    The agent prints its address and a token, which every request must contain. By default it accepts connections only
    from this machine (see --host). The traffic is not encrypted, so use `ssh -L` to reach it through a shared network.

    For example:
      mobiledet agent
      mobiledet agent --host 0.0.0.0 --port 8765 --token-file token.txt
    """

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 listens on all network interfaces of this machine."""
    name: tuple[str, ...] = ()
    """Host names that requests may use for this machine, in addition to its addresses, its own name and localhost.
    Other names are refused, because a web page can make any name resolve to this machine (DNS rebinding)."""
    port: int = 0
    """Port to listen on; 0 chooses a free one."""
    token_file: Path | None = None
    """File that contains the token; by default the environment variable MOBILEDET_AGENT_TOKEN, else a new token is
    generated at each start."""
    cache: Path | None = None
    """Folder for uploaded bundles; by default mobiledet/agent in the user's cache folder."""
    cache_mb: int = 4096
    """Maximum total size of the uploaded bundles in MB (million bytes); the least recently used ones are removed."""
    sessions: int = 4
    """Maximum number of model files that are loaded at the same time."""
    body_mb: int = 512
    """Largest upload in MB (million bytes)."""
    idle_seconds: int = 600
    """Time in seconds without a request after which a session may be closed to make room for another one."""


@dataclass(frozen=True)
class AgentCheckConfig:
    """Check that an agent, on any device, follows the protocol. The exit status is 1 if it does not.

    For example:
      mobiledet agent-check http://127.0.0.1:8765 --bundle x.mobiledet --token TOKEN
    """

    url: Positional[str]
    """Address of the agent, http://HOST:PORT."""
    bundle: Path
    """Bundle that the agent's device can run; with a small one the check is faster."""
    token: str = ""
    """Token of the agent; by default the environment variable MOBILEDET_AGENT_TOKEN."""
    file: str = ""
    """Model file or precision of the bundle to run; by default the one that the bundle recommends for the CPU."""
