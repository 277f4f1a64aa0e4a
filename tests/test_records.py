import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from mobiledet.records import decode, float32_json


@dataclass(frozen=True)
class Inner:
    name: str
    size: float


@dataclass(frozen=True)
class Outer:
    inner: Inner
    maybe: Inner | None
    many: tuple[Inner, ...]
    pair: tuple[int, str]
    table: dict[str, Inner | None]
    options: Mapping[str, Any]
    flag: bool


RECORD = Outer(
    inner=Inner("a", 1.5),
    maybe=None,
    many=(Inner("b", 2.0), Inner("c", 3.0)),
    pair=(4, "x"),
    table={"d": Inner("d", 5.0), "e": None},
    options={"anything": [1, {"k": None}]},
    flag=True,
)


def test_round_trip_through_json() -> None:
    values = json.loads(json.dumps(dataclasses.asdict(RECORD)))
    assert decode(Outer, values) == RECORD


def test_whole_numbers_are_numbers() -> None:
    decoded = decode(Inner, {"name": "a", "size": 2})
    assert decoded == Inner("a", 2.0)
    assert type(decoded.size) is float


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("inner", "size"), "big", "inner.size is 'big', not a number"),
        (("inner", "size"), True, "inner.size is True, not a number"),
        (("inner", "name"), 3, "inner.name is 3, not of type str"),
        (("inner",), None, "inner is None, not an object"),
        (("many",), {}, "many is {}, not a list"),
        (("many",), [{"name": "b", "size": None}], "many[0].size is None, not a number"),
        (("pair",), [1], "pair is [1], not a list of 2"),
        (("table",), {"d": 1}, "table.d is 1, not an object"),
        (("flag",), 1, "flag is 1, not of type bool"),
        (("extra",), 1, "extra is unknown"),
        (("inner", "extra"), 1, "inner.extra is unknown"),
    ],
)
def test_wrong_values_are_named(path: tuple[str, ...], value: Any, message: str) -> None:
    values = json.loads(json.dumps(dataclasses.asdict(RECORD)))
    holder = values
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    with pytest.raises(ValueError, match="^" + message.translate({ord(c): "\\" + c for c in "[]{}.()"}) + "$"):
        decode(Outer, values)


def test_missing_field() -> None:
    with pytest.raises(ValueError, match=r"^size is missing$"):
        decode(Inner, {"name": "a"})


def test_float32_numbers_are_read_back_to_the_last_bit() -> None:
    bits = np.random.default_rng(0).integers(0, 1 << 32, 20_000, dtype=np.uint32)
    numbers = bits.view(np.float32)
    numbers = np.append(numbers[np.isfinite(numbers)], np.float32([0, 1, 1e-45, 3.4e38, 0.1, 16777216]))
    rows = numbers[: len(numbers) // 4 * 4].reshape(-1, 4)
    np.testing.assert_array_equal(np.array(json.loads(float32_json(numbers.tolist())), np.float32), numbers)
    np.testing.assert_array_equal(np.array(json.loads(float32_json(rows.tolist())), np.float32), rows)
    assert float32_json([]) == "[]"
    for odd in (np.nan, np.inf, -np.inf):
        with pytest.raises(ValueError, match="no numbers of JSON"):
            float32_json([1.0, odd])
