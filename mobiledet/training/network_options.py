"""``--detector-options help``: what can be set of a detector."""

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
    """The options of a detector with types, defaults and what they mean.

    Raises:
        UserError: there is no such detector.
    """
    kind = detector_entry(detector).options
    annotations, texts = get_type_hints(kind, include_extras=True), texts_of(kind)
    lines = [f"--detector {detector} --detector-options NAME=VALUE ..., and the defaults:"]
    for field in dataclasses.fields(kind):
        lines.append(f"  {field.name}={json.dumps(field.default)}   {_in_words(annotations[field.name])}")
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
        [*lines, *textwrap.wrap(f"--detector NAME --detector-options {HELP} has those of {others}", COLUMNS)]
    )


def _in_words(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        words = _in_words(parts[0])
        return words if words == "list" else f"{words} {parts[1]}"
    if origin is Literal:
        return " or ".join(map(str, parts))
    if origin in (Union, UnionType):
        return _in_words(parts[0])
    return "list" if origin is tuple else _KINDS.get(annotation, "text")
