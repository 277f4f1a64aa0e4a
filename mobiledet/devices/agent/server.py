"""The agent's endpoints."""

import math
from collections.abc import Collection
from http import HTTPStatus

from mobiledet.devices.agent.http_handler import NAME, ProtocolHandler, ProtocolServer
from mobiledet.devices.agent.messages import BenchRequest, SessionRequest
from mobiledet.devices.agent.service import Agent


class AgentServer(ProtocolServer):
    """Serves an agent to clients that know the token."""

    def __init__(self, address: tuple[str, int], agent: Agent, token: str, names: Collection[str] = ()) -> None:
        super().__init__(address, AgentHandler, token, names)
        self.agent = agent


class AgentHandler(ProtocolHandler):
    """Handles the requests to an agent."""

    server: AgentServer
    routes = (
        ("GET", "/v1/info", "_info"),
        ("GET", "/v1/state", "_state"),
        ("GET", f"/v1/bundles/{NAME}", "_bundle"),
        ("PUT", f"/v1/bundles/{NAME}", "_add_bundle"),
        ("DELETE", f"/v1/bundles/{NAME}", "_remove_bundle"),
        ("POST", "/v1/sessions", "_open_session"),
        ("DELETE", f"/v1/sessions/{NAME}", "_close_session"),
        ("POST", f"/v1/sessions/{NAME}/golden", "_golden"),
        ("POST", f"/v1/sessions/{NAME}/tensor", "_tensor"),
        ("POST", f"/v1/sessions/{NAME}/images", "_images"),
        ("POST", f"/v1/sessions/{NAME}/bench", "_bench"),
        ("GET", f"/v1/jobs/{NAME}", "_job"),
        ("DELETE", f"/v1/jobs/{NAME}", "_cancel"),
    )

    def _info(self) -> None:
        self._send(self.server.agent.info())

    def _state(self) -> None:
        self._send(self.server.agent.state())

    def _bundle(self, sha256: str) -> None:
        self._send(self.server.agent.bundle(sha256))

    def _add_bundle(self, sha256: str) -> None:
        info, new = self.server.agent.add_bundle(sha256, self._blocks(self.server.agent.limits.body_bytes))
        self._send(info, HTTPStatus.CREATED if new else HTTPStatus.OK)

    def _remove_bundle(self, sha256: str) -> None:
        self.server.agent.remove_bundle(sha256)
        self._send(None, HTTPStatus.NO_CONTENT)

    def _open_session(self) -> None:
        self._send(self.server.agent.open_session(self._message(SessionRequest)), HTTPStatus.CREATED)

    def _close_session(self, identity: str) -> None:
        self.server.agent.close_session(identity)
        self._send(None, HTTPStatus.NO_CONTENT)

    def _golden(self, identity: str) -> None:
        self._send(self.server.agent.golden(identity))

    def _tensor(self, identity: str) -> None:
        self._send_lines(self.server.agent.tensor(identity, self._body()))

    def _images(self, identity: str) -> None:
        turned = self._option("orientation", 0, 1) == 1
        self._send_lines(self.server.agent.images(identity, self._body(), turned))

    def _bench(self, identity: str) -> None:
        self._send(self.server.agent.bench(identity, self._message(BenchRequest)), HTTPStatus.ACCEPTED)

    def _job(self, identity: str) -> None:
        self._send(self.server.agent.job(identity, self._option("wait", 0, math.inf)))

    def _cancel(self, identity: str) -> None:
        self._send(self.server.agent.cancel(identity))

    def _body(self) -> bytes:
        return b"".join(self._blocks(self.server.agent.limits.body_bytes))
