"""Frozen dataclasses from JSON values, checked by their type annotations; strict JSON; and float32 numbers as JSON."""

import dataclasses
import json
import sys
import types
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints


def decode(kind: Any, value: Any, where: str = "") -> Any:
    """Build what a type annotation says from what ``json.load`` gave; the inverse of ``dataclasses.asdict``.

    Known are dataclasses, tuples, dicts with text keys, unions, literals, str, int, float, bool, None and Any.

    Args:
        kind: the annotation.
        value: JSON values.
        where: path of the value, for messages.

    Raises:
        ValueError: a field is missing or unknown, or a value is of another type.
    """
    origin = get_origin(kind)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, value, where)
    if origin in (Union, types.UnionType):
        return _decode_union(kind, value, where)
    if origin is Literal:
        _check(value in get_args(kind), value, where, f"one of {', '.join(map(str, get_args(kind)))}")
        return value
    if origin is tuple:
        return _decode_tuple(kind, value, where)
    if origin in (dict, Mapping):
        _check(isinstance(value, dict), value, where, "an object")
        item = get_args(kind)[1]
        return {key: decode(item, entry, f"{where}.{key}") for key, entry in value.items()}
    if kind is float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        _check(is_number and abs(value) <= sys.float_info.max, value, where, "a number")
        return float(value)
    expected = types.NoneType if kind is None else kind
    _check(type(value) is expected, value, where, f"of type {expected.__name__}")
    return value


def load_json(content: bytes) -> Any:
    """Decode JSON, in which NaN and infinity do not exist.

    Raises:
        ValueError: it is none.
    """
    try:
        return json.loads(content, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def float32_json(values: Sequence[float] | Sequence[Sequence[float]]) -> str:
    """A list of float32 numbers, or of lists of them of one length, as JSON.

    Nine digits give each number back to the last bit; ``json.dumps`` would write the seventeen of a double, which takes
    four times as long.

    Raises:
        ValueError: one is NaN or infinite.
    """
    if values and isinstance(values[0], Sequence):
        row = "[" + ",".join(["%.9g"] * len(values[0])) + "]"
        flat: tuple[float, ...] = tuple(chain.from_iterable(values))  # type: ignore[arg-type]
    else:
        row, flat = "%.9g", tuple(values)  # type: ignore[arg-type]
    text = "[" + ",".join([row] * len(values)) % flat + "]"
    if "n" in text:
        raise ValueError("NaN and infinity are no numbers of JSON")
    return text


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a number of JSON")


def _decode_dataclass(kind: Any, value: Any, where: str) -> Any:
    _check(isinstance(value, dict), value, where, "an object")
    annotations = get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    for problem, odd in (("is missing", set(names) - set(value)), ("is unknown", set(value) - set(names))):
        if odd:
            raise ValueError(f"{where}.{sorted(odd)[0]}".lstrip(".") + f" {problem}")
    return kind(**{name: decode(annotations[name], value[name], f"{where}.{name}".lstrip(".")) for name in names})


def _decode_union(kind: Any, value: Any, where: str) -> Any:
    options = get_args(kind)
    if value is None and types.NoneType in options:
        return None
    remaining = [option for option in options if option is not types.NoneType]
    if len(remaining) > 1:
        raise TypeError(f"{kind}: only unions of one type and None can be decoded")
    return decode(remaining[0], value, where)


def _decode_tuple(kind: Any, value: Any, where: str) -> Any:
    _check(isinstance(value, list), value, where, "a list")
    items = get_args(kind)
    if items[-1] is Ellipsis:
        items = (items[0],) * len(value)
    _check(len(items) == len(value), value, where, f"a list of {len(items)}")
    return tuple(decode(item, entry, f"{where}[{i}]") for i, (item, entry) in enumerate(zip(items, value, strict=True)))


def _check(fits: bool, value: Any, where: str, expected: str) -> None:
    if not fits:
        shown = repr(value) if len(repr(value)) < 40 else f"{repr(value)[:37]}..."
        raise ValueError(f"{where or 'the file'} is {shown}, not {expected}")
