"""Decodes untrusted JSON to frozen dataclasses, with strict checks of fields, types, ranges, depth and size.

Ranges are given in annotations, such as ``Annotated[int, Range(1, 512)]``. Every number must be finite and every
integer must fit into 64 bits. (msgspec ignores unknown fields of plain dataclasses, and pydantic would be another
compiled package on boards that only evaluate.)
"""

import dataclasses
import functools
import json
import math
import reprlib
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

DEPTH = 32  # largest nesting of JSON in fields of type Any
RECORD_BYTES = 1 << 28  # largest size of a file with one record
_LONG = 1 << 63
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 40


@dataclass(frozen=True)
class Range:
    """In ``Annotated``: lowest and highest value of a number, or shortest and longest length of a tuple or string."""

    low: float = -math.inf
    high: float = math.inf

    def __str__(self) -> str:
        if self.low == math.ulp(0) and math.isinf(self.high):
            return "above 0"
        if math.isinf(self.high):
            return f"at least {self.low:.16g}"
        return f"in {self.low:.16g}..{self.high:.16g}"

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        """The range in JSON Schema, for agents in other languages; pydantic calls this in a test."""
        schema: dict[str, Any] = handler(core_schema)
        names = {"array": ("minItems", "maxItems"), "string": ("minLength", "maxLength")}
        limits = zip(names.get(schema.get("type", ""), ("minimum", "maximum")), (self.low, self.high), strict=True)
        return {**schema, **{name: limit for name, limit in limits if math.isfinite(limit)}}


@dataclass(frozen=True)
class Converted:
    """In ``Annotated``: the type of the JSON value, and the function that converts it to the field's value."""

    kind: Any
    by: Callable[[Any], Any]


Share = Annotated[float, Range(0, 1)]
Count = Annotated[int, Range(0)]
Positive = Annotated[float, Range(math.ulp(0))]


def load_json(content: bytes, lenient: bool = False) -> Any:
    """Decode JSON in UTF-8.

    Args:
        content: the bytes of a file or message.
        lenient: also accept UTF-16, and NaN and infinity, which are not JSON; ``decode`` still refuses those two.

    Raises:
        ValueError: the content is not JSON, or nested too deeply.
    """
    try:
        encoding = json.detect_encoding(content) if lenient else "utf-8-sig"
        return json.loads(content.decode(encoding), parse_constant=None if lenient else _no_number)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def decode(kind: Any, value: Any, where: str = "", filled: Collection[type] = ()) -> Any:
    """Convert the result of ``load_json`` to the type of an annotation; the inverse of ``dataclasses.asdict``.

    Supported are dataclasses, tuples, dicts with string keys, unions, literals, str, int, float, bool, None, Path, Any,
    and each of them in ``Annotated`` with ``Range`` or ``Converted``.

    Args:
        kind: the annotation.
        value: JSON values.
        where: JSON path of the value, for error messages.
        filled: dataclasses whose fields may be missing if they have defaults, because older files lack them.

    Raises:
        ValueError: a field is missing or unknown, a value has the wrong type or range, or the checks of a dataclass
            fail; the message begins with the path of the field.
    """
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *notes = get_args(kind)
        for note in notes:
            if isinstance(note, Converted):
                return note.by(decode(note.kind, value, where, filled))
        decoded = decode(inner, value, where, filled)
        for note in notes:
            if isinstance(note, Range) and decoded is not None:
                amount = len(decoded) if isinstance(decoded, tuple | str | dict) else decoded
                _check(note.low <= amount <= note.high, value, where, str(note))
        return decoded
    if kind is Any:
        _check_plain(value, where, DEPTH)
        return value
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, value, where, filled)
    if origin in (Union, types.UnionType):
        return _decode_union(kind, value, where, filled)
    if origin is Literal:
        options = get_args(kind)
        fits = any(value == option and type(value) is type(option) for option in options)
        _check(fits, value, where, f"one of {', '.join(map(str, options))}")
        return value
    if origin is tuple:
        return _decode_tuple(kind, value, where, filled)
    if origin in (dict, Mapping):
        _check(isinstance(value, dict), value, where, "an object")
        item = get_args(kind)[1]
        for key in value:
            _check_scalar(key, where)
        return {key: decode(item, entry, f"{where}.{key}", filled) for key, entry in value.items()}
    if kind is Path:
        _check(isinstance(value, str) and "\0" not in value, value, where, "a path")
        _check_scalar(value, where)
        return Path(value)
    if kind is float:
        _check(isinstance(value, int | float) and not isinstance(value, bool), value, where, "a number")
        _check_scalar(value, where)
        return float(value)
    expected = types.NoneType if kind is None else kind
    _check(type(value) is expected, value, where, f"of type {expected.__name__}")
    _check_scalar(value, where)
    return value


def float32_json(values: Sequence[float] | Sequence[Sequence[float]]) -> str:
    """A list of float32 numbers, or of lists of equal length, as JSON.

    Nine digits identify each number uniquely; ``json.dumps`` would write the seventeen digits of a double and take four
    times as long.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    if values and isinstance(values[0], Sequence):
        row = "[" + ",".join(["%.9g"] * len(values[0])) + "]"
        flat: tuple[float, ...] = tuple(chain.from_iterable(values))  # type: ignore[arg-type]
    else:
        row, flat = "%.9g", tuple(values)  # type: ignore[arg-type]
    text = "[" + ",".join([row] * len(values)) % flat + "]"
    if "n" in text:
        raise ValueError("NaN and infinity are not numbers in JSON")
    return text


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


@functools.cache
def _fields(kind: type) -> dict[str, tuple[Any, bool]]:
    """Annotation of each field of a dataclass, and whether it has a default."""
    annotations = get_type_hints(kind, include_extras=True)
    missing = dataclasses.MISSING
    return {
        field.name: (annotations[field.name], not (field.default is missing and field.default_factory is missing))
        for field in dataclasses.fields(kind)
    }


def _decode_dataclass(kind: Any, value: Any, where: str, filled: Collection[type]) -> Any:
    _check(isinstance(value, dict), value, where, "an object")
    fields = _fields(kind)
    needed = {name for name, (_, has_default) in fields.items() if not (has_default and kind in filled)}
    for problem, odd in (("is missing", needed - value.keys()), ("is unknown", value.keys() - fields.keys())):
        if odd:
            raise ValueError(_path(f"{where}.{min(odd)}".lstrip(".")) + f" {problem}")
    given = {
        name: decode(annotation, value[name], f"{where}.{name}".lstrip("."), filled)
        for name, (annotation, _) in fields.items()
        if name in value
    }
    try:
        return kind(**given)
    except (ValueError, TypeError, OverflowError) as error:  # of its __post_init__
        raise ValueError(f"{_path(where)}: {error}" if where else str(error)) from error


def _decode_union(kind: Any, value: Any, where: str, filled: Collection[type]) -> Any:
    options = get_args(kind)
    if value is None and types.NoneType in options:
        return None
    remaining = [option for option in options if option is not types.NoneType]
    if len(remaining) == 1:
        return decode(remaining[0], value, where, filled)
    plain = [option for option in remaining if get_origin(option) is not Literal]
    words = [word for option in remaining if get_origin(option) is Literal for word in get_args(option)]
    if not all(option in (int, str, bool) for option in plain):
        raise TypeError(f"{kind}: only unions of plain types and literals, or of one type and None, can be decoded")
    if any(value == word and type(value) is type(word) for word in words):
        return value
    names = " or ".join([*(option.__name__ for option in plain), *map(repr, words)])
    _check(type(value) in plain, value, where, f"of type {names}")
    return decode(type(value), value, where, filled)


def _decode_tuple(kind: Any, value: Any, where: str, filled: Collection[type]) -> Any:
    _check(isinstance(value, list), value, where, "a list")
    items = get_args(kind)
    if items[-1] is Ellipsis:
        items = (items[0],) * len(value)
    _check(len(items) == len(value), value, where, f"a list of {len(items)}")
    pairs = enumerate(zip(items, value, strict=True))
    return tuple(decode(item, entry, f"{where}[{i}]", filled) for i, (item, entry) in pairs)


def _check_plain(value: Any, where: str, depth: int) -> None:
    """Refuse JSON that other programs could not read, or that is nested too deeply."""
    if isinstance(value, dict | list):
        _check(depth > 0, "...", where, f"JSON of at most {DEPTH} levels")
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, entry in entries:
            if isinstance(key, str):
                _check_scalar(key, where)
            _check_plain(entry, f"{where}.{key}", depth - 1)
    else:
        _check_scalar(value, where)


def _check_scalar(value: Any, where: str) -> None:
    if isinstance(value, str):
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise ValueError(f"{_path(where) or 'the file'} contains half of a surrogate pair") from None
    elif isinstance(value, float):
        _check(math.isfinite(value), value, where, "a finite number")
    elif isinstance(value, int):
        _check(-_LONG <= value < _LONG, value, where, "a number of 64 bits")


def _check(fits: bool, value: Any, where: str, expected: str) -> None:
    if not fits:
        raise ValueError(f"{_path(where) or 'the file'} is {_SHORT.repr(value)}, not {expected}")


def _path(where: str) -> str:
    """A path shortened for a message, because parts of it may come from the file."""
    return where if len(where) < 100 else f"{where[:97]}..."
