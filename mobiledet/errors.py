"""Errors that a user can fix: one line, no traceback, exit status 2."""

import difflib
from collections.abc import Collection

MAX_LENGTH = 2000  # characters of a message


class UserError(Exception):
    """A mistake in the input or the environment, described in one line.

    The message names the file or the value, the reason, and what to do. The command line prints it as
    ``error: MESSAGE`` and exits with status 2; a library caller catches it like any other exception. Because parts of
    messages come from files and devices, unprintable characters become spaces, and the middle of a very long message
    is cut out.
    """

    def __init__(self, message: str = "") -> None:
        line = "".join(character if character.isprintable() else " " for character in message)
        if len(line) > MAX_LENGTH:
            line = f"{line[: MAX_LENGTH * 3 // 4]} ... {line[-MAX_LENGTH // 4 :]}"
        super().__init__(line)


def unknown_name(kind: str, name: str, valid: Collection[str]) -> UserError:
    """The error for an unknown name; it suggests similar valid names.

    Args:
        kind: what is named, such as ``"backbone"``.
        name: the unknown name.
        valid: the valid names.
    """
    nearest = difflib.get_close_matches(name, valid, n=3, cutoff=0.5)
    if nearest:
        return UserError(f"unknown {kind} {name!r}; did you mean {' or '.join(nearest)}?")
    return UserError(f"unknown {kind} {name!r}; valid names: {', '.join(sorted(valid))}")
