"""Errors that a user can mend: one line, no traceback, exit status 2."""

import difflib
from collections.abc import Collection

LONGEST = 2000  # characters of a message


class UserError(Exception):
    """A mistake in the input or the environment, told in one line.

    The message names the file or the value, the reason, and what to do. The command line prints it as
    ``error: MESSAGE`` and exits with status 2; a library caller catches it like any other exception. Parts of messages
    come from files and devices: what is no printable character becomes a space, and the middle of a very long one is
    left out.
    """

    def __init__(self, message: str = "") -> None:
        line = "".join(character if character.isprintable() else " " for character in message)
        if len(line) > LONGEST:
            line = f"{line[: LONGEST * 3 // 4]} ... {line[-LONGEST // 4 :]}"
        super().__init__(line)


def unknown_name(kind: str, name: str, valid: Collection[str]) -> UserError:
    """The error for a name that is not in a table; it proposes the nearest valid ones.

    Args:
        kind: what the name stands for, such as ``"backbone"``.
        name: the name that was asked for.
        valid: the names that exist.
    """
    nearest = difflib.get_close_matches(name, valid, n=3, cutoff=0.5)
    if nearest:
        return UserError(f"unknown {kind} {name!r}; did you mean {' or '.join(nearest)}?")
    return UserError(f"unknown {kind} {name!r}; valid names: {', '.join(sorted(valid))}")
