"""The command ``mobiledet agent``: serves this machine until it is stopped."""

import signal

from mobiledet.devices.agent.config import AgentConfig
from mobiledet.devices.agent.messages import PROTOCOL, Limits
from mobiledet.devices.agent.server import AgentServer
from mobiledet.devices.agent.service import Agent
from mobiledet.devices.agent.token import own_token
from mobiledet.errors import UserError
from mobiledet.files.cache import cache_folder

LOOPBACK = ("127.0.0.1", "localhost")
BUNDLE_BYTES = 1 << 30
WAIT_SECONDS = 30


def run(config: AgentConfig) -> None:
    """The command ``mobiledet agent``."""
    for name, most in (("sessions", 1024), ("body_mb", 1 << 20), ("cache_mb", 1 << 30)):
        if not 1 <= getattr(config, name) <= most:
            raise UserError(f"--{name.replace('_', '-')} {getattr(config, name)} is not in 1..{most}")
    if not 0 <= config.port < 1 << 16 or config.idle_seconds < 0:
        raise UserError("--port must be in 0..65535 and --idle-seconds not negative")
    token = own_token(config.token_file)
    limits = Limits(config.body_mb * 1_000_000, BUNDLE_BYTES, config.sessions, config.idle_seconds, WAIT_SECONDS)
    folder = config.cache or cache_folder() / "agent"
    try:
        agent = Agent(folder, limits, config.cache_mb * 1_000_000)
    except OSError as error:
        raise UserError(f"cannot keep bundles in {folder}: {error.strerror}; choose another --cache") from error
    try:
        server = AgentServer((config.host, config.port), agent, token, (*config.name, config.host))
    except OSError as error:
        raise UserError(f"cannot listen on {config.host} port {config.port}: {error.strerror or error}") from error
    with server:
        url = f"http://{config.host}:{server.server_address[1]}"
        print(f"agent: {url}, protocol {PROTOCOL}", f"token: {token}", f"bundles: {folder}", sep="\n")
        if config.host not in LOOPBACK:
            print("warning: others in this network can read the traffic, the token included")
        print(f"use: mobiledet evaluate BUNDLE --device {url} --token TOKEN --data DATA", flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("agent: stopping", flush=True)
        finally:
            agent.close()
