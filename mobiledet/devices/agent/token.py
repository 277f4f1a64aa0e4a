"""The secret that an agent and its client share."""

import os
import secrets
from pathlib import Path

from mobiledet.errors import UserError

TOKEN_VARIABLE = "MOBILEDET_AGENT_TOKEN"
SHORTEST = 16


def own_token(path: Path | None) -> str:
    """The token of an agent: from a file, else from the environment, else a new one.

    Raises:
        UserError: the file cannot be read, or what stands there is no good token.
    """
    if path is None:
        token, source = os.environ.get(TOKEN_VARIABLE) or secrets.token_hex(16), TOKEN_VARIABLE
    else:
        try:
            token, source = path.read_text(encoding="utf-8").strip(), str(path)
        except (OSError, ValueError) as error:
            raise UserError(f"cannot read the token in {path}: {getattr(error, 'strerror', None) or error}") from error
    if len(token) < SHORTEST or not all("!" <= character <= "~" for character in token):
        raise UserError(f"{source} must contain a token of at least {SHORTEST} ASCII characters, without spaces")
    return token


def given_token(token: str) -> str:
    """``token``, or that of the environment where it is empty.

    Raises:
        UserError: there is none.
    """
    found = token or os.environ.get(TOKEN_VARIABLE, "")
    if not found or not found.isascii() or not found.isprintable():
        raise UserError(f"an agent needs the token that it prints at its start: pass --token or set {TOKEN_VARIABLE}")
    return found
