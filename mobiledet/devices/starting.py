"""Waits until an agent that has just been started answers."""

import time
from collections.abc import Callable

from mobiledet.devices.agent.client import AgentDevice
from mobiledet.devices.agent.connection import AgentRefusal
from mobiledet.devices.options import InputMode
from mobiledet.errors import UserError

ANSWER_SECONDS = 60.0
POLL_SECONDS = 0.2


def await_agent(url: str, token: str, mode: InputMode, is_alive: Callable[[], bool]) -> AgentDevice:
    """Wait for an agent and connect to it.

    Args:
        url: http://HOST:PORT.
        token: token that it was started with.
        mode: as in ``AgentDevice``.
        is_alive: whether the agent is still running; called after each attempt.

    Raises:
        UserError: the agent does not answer in time, refuses the token, or is no longer running.
    """
    end = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            return AgentDevice(url, token, mode)
        except AgentRefusal:
            raise
        except UserError:
            if time.monotonic() > end or not is_alive():
                raise
            time.sleep(POLL_SECONDS)
