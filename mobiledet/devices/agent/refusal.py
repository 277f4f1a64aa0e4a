"""A request that an agent refuses."""

from http import HTTPStatus


class Refusal(Exception):
    """The reply to a request that cannot be served.

    Attributes:
        status: HTTP status.
        code: error code for programs; apps/PROTOCOL.md lists them.
    """

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(" ".join(message.split()))
        self.status = status
        self.code = code
