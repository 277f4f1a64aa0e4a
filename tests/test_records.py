import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from mobiledet.records import Count, Range, Share, decode, float32_json


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


@dataclass(frozen=True)
class Bounded:
    share: Share
    count: Count = 0
    pair: Annotated[tuple[int, ...], Range(1, 2)] = (1,)
    kind: Literal["a", 1] = "a"
    free: Any = None


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("share", 1.5, "share is 1.5, not in 0..1"),
        ("share", float("nan"), "share is nan, not a finite number"),
        ("share", 10**400, "share is 1000.*, not a number of 64 bits"),
        ("count", -1, "count is -1, not at least 0"),
        ("count", 2**63, "count is 9223372036854775808, not a number of 64 bits"),
        ("pair", [], r"pair is \[\], not in 1..2"),
        ("pair", [1, 2, 3], r"pair is \[1, 2, 3\], not in 1..2"),
        ("kind", True, "kind is True, not one of a, 1"),
        ("kind", ["a"], r"kind is \['a'\], not one of a, 1"),
        ("free", "\ud800", "free contains half of a surrogate pair"),
        ("free", {"\udfff": 1}, "free contains half of a surrogate pair"),
        ("free", [[float("inf")]], r"free.0.0 is inf, not a finite number"),
    ],
)
def test_values_out_of_range_are_named(field: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        decode(Bounded, {"share": 0, field: value}, filled=(Bounded,))


def test_unions_of_plain_types() -> None:
    assert [decode(int | str, value, "id") for value in (1, "a")] == [1, "a"]
    assert [decode(int | Literal["auto"], value, "count") for value in (1, "auto")] == [1, "auto"]
    for value in ("all", 1.5, True, None):
        with pytest.raises(ValueError, match=r"count is .*, not of type int or 'auto'"):
            decode(int | Literal["auto"], value, "count")
    for value in (1.5, None, True, [1]):
        with pytest.raises(ValueError, match=r"^id is .*, not of type int or str$"):
            decode(int | str, value, "id")
    with pytest.raises(TypeError, match="unions"):
        decode(Inner | Outer, {}, "")


def test_fields_may_be_missing_only_where_that_is_said() -> None:
    assert decode(Bounded, {"share": 1}, filled=(Bounded,)) == Bounded(1.0)
    with pytest.raises(ValueError, match="is missing"):
        decode(Bounded, {"share": 1})


def test_a_deep_value_where_something_else_is_wanted_is_told_briefly() -> None:
    deep: Any = []
    for _ in range(900):
        deep = [deep]
    with pytest.raises(ValueError, match=r"size is .*, not a number") as told:
        decode(Inner, {"name": "a", "size": deep})
    assert len(str(told.value)) < 200


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
        with pytest.raises(ValueError, match="not numbers in JSON"):
            float32_json([1.0, odd])
