"""``--detector-options help``: the options of a detector."""

import dataclasses
import json
import textwrap
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from mobiledet.detectors import DETECTORS, detector_entry
from mobiledet.keywords import texts_of

HELP = "help"
COLUMNS, INDENT = 80, " " * 6
_KINDS = {bool: "true or false", int: "whole number", float: "number"}


def options_text(detector: str) -> str:
    """The options of a detector with their types, defaults and descriptions.

    Raises:
        UserError: the detector is unknown.
    """
    kind = detector_entry(detector).options
    annotations, texts = get_type_hints(kind, include_extras=True), texts_of(kind)
    lines = [f"--detector {detector} --detector-options NAME=VALUE ..., and the defaults:"]
    for field in dataclasses.fields(kind):
        lines.append(f"  {field.name}={json.dumps(field.default)}   {_type_text(annotations[field.name])}")
        lines += textwrap.wrap(
            texts.get(field.name, ""),
            COLUMNS,
            initial_indent=INDENT,
            subsequent_indent=INDENT,
            break_long_words=False,
        )
    if len(lines) == 1:
        lines = [f"{detector} has no options"]
    others = ", ".join(key for key in DETECTORS if key != detector)
    return "\n".join(
        [*lines, *textwrap.wrap(f"--detector NAME --detector-options {HELP} shows those of {others}", COLUMNS)]
    )


def _type_text(annotation: Any) -> str:
    """The type of an option as users read it, such as "whole number 1..4096"."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        text = _type_text(parts[0])
        return text if text == "list" else f"{text} {parts[1]}"
    if origin is Literal:
        return " or ".join(map(str, parts))
    if origin in (Union, UnionType):
        return _type_text(parts[0])
    return "list" if origin is tuple else _KINDS.get(annotation, "text")
