"""Run as a program in an emulator: serve the agent on a free port of this machine, print the port.

python -m mobiledet.devices.arm.agent FOLDER    with the token in MOBILEDET_AGENT_TOKEN
"""

import sys
from pathlib import Path

from mobiledet.devices.agent.messages import Limits
from mobiledet.devices.agent.server import AgentServer
from mobiledet.devices.agent.service import Agent
from mobiledet.devices.agent.token import own_token

LIMITS = Limits(body_bytes=1 << 30, bundle_bytes=1 << 30, sessions=4, idle_seconds=600, wait_seconds=30)

if __name__ == "__main__":
    with AgentServer(("127.0.0.1", 0), Agent(Path(sys.argv[1]), LIMITS), own_token(None)) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()
