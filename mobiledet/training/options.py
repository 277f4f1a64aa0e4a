"""Options of networks on the command line: NAME=VALUE, the value as JSON. Imports no torch."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mobiledet.errors import UserError


def option_words(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Options as words that ``read_options`` takes."""
    return tuple(f"{name}={json.dumps(value)}" for name, value in options.items())


def read_options(words: Sequence[str], option: str) -> dict[str, Any]:
    """The options that words name; what is no JSON is a text, as shells take quotes away.

    Args:
        words: NAME=VALUE each.
        option: of the command line, for messages.

    Raises:
        UserError: a word has no name or no value, or a name comes twice.
    """
    options: dict[str, Any] = {}
    for word in words:
        name, is_given, value = word.partition("=")
        if not name or not is_given:
            raise UserError(f'{option} {word!r} is not NAME=VALUE, such as layers="full"')
        if name in options:
            raise UserError(f"{option} names {name} twice")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options
