"""Checks of an agent that concern all requests; see ``checks``."""

import http.client
from contextlib import closing

from mobiledet.devices.agent.connection import Reply
from mobiledet.devices.agent.messages import AgentInfo
from mobiledet.devices.agent.subject import Broken, Subject

ELSEWHERE = "elsewhere.example"  # no machine has this name


def a_request_without_the_token_is_refused(subject: Subject) -> None:
    for path in ("/v1/info", "/v1/nothing"):
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": subject.token}):
            subject.expect(401, "unauthorized", "GET", path, headers=headers)


def a_request_for_another_host_is_refused(subject: Subject) -> None:
    """A page whose name was made to lead to the agent; with the token and without it."""
    for host in (ELSEWHERE, f"{ELSEWHERE}:80", f"127.0.0.1.{ELSEWHERE}"):
        for token in ({}, {"Authorization": f"Bearer {subject.token}"}):
            subject.expect(421, "wrong_host", "GET", "/v1/info", headers={**token, "Host": host})


def a_request_of_another_page_is_refused(subject: Subject) -> None:
    for origin in (f"http://{ELSEWHERE}", "null", f"{subject.url}.{ELSEWHERE}"):
        for token in ({}, {"Authorization": f"Bearer {subject.token}"}):
            subject.expect(403, "wrong_origin", "GET", "/v1/info", headers={**token, "Origin": origin})


def a_request_with_two_lengths_is_refused(subject: Subject) -> None:
    for lengths in ((1, 2), (2, 2), (0, 2)):
        connection = subject.begin("POST", "/v1/sessions", *lengths)
        _expect_unread(connection, 400, "bad_request", f"a request with Content-Length {lengths[0]} and {lengths[1]}")


def an_unknown_endpoint_is_named(subject: Subject) -> None:
    subject.expect(404, "unknown_endpoint", "GET", "/v1/nothing")
    subject.expect(404, "unknown_endpoint", "GET", "/v99/info")
    subject.expect(405, "method_not_allowed", "DELETE", "/v1/info")


def a_body_over_the_limit_is_refused(subject: Subject) -> None:
    info: AgentInfo = subject.message(AgentInfo, 200, "GET", "/v1/info")
    connection = subject.begin("PUT", f"/v1/bundles/{'0' * 64}", info.limits.body_bytes + 1)
    _expect_unread(connection, 413, "too_large", "a body above limits.body_bytes")


def _expect_unread(connection: http.client.HTTPConnection, status: int, code: str, what: str) -> None:
    """The answer to a request whose body is not sent."""
    with closing(connection):
        try:
            response = connection.getresponse()
            reply = Reply(response.status, response.read(), 0)
        except (OSError, http.client.HTTPException) as error:
            raise Broken(f"{what}: no reply") from error
    if (reply.status, reply.error.code) != (status, code):
        raise Broken(f"{what}: answers {reply.status} {reply.error.code}, not {status} {code}")
