"""Files as an enemy, a bad disk or another program would have them: seeded, so that each trial can be repeated."""

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

# what may stand where something else is wanted; JSON's own limits, and those of what reads it
VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    1.5,
    -0.5,
    1e-300,
    1e308,
    -1e308,
    float("nan"),
    float("inf"),
    float("-inf"),
    2**31,
    2**53,
    2**63,
    2**64,
    -(2**63) - 1,
    10**400,
    "",
    " ",
    "1",
    "nan",
    "x" * 10_000,
    "\0",
    "two\nlines",
    "\x1b[2J",
    "\ud800",
    "é\u202e",
    "../../etc/passwd",
    "/etc/passwd",
    "C:\\x",
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "%s%n{0}",
    [],
    {},
    [[]],
    [None],
    [1, "a", None],
    {"a": 1},
    {"": {}},
    [0] * 1000,
)
DEPTHS = (33, 900, 20_000)


def mutated(value: Any, rng: random.Random) -> Any:
    """A copy of JSON values in which one thing is another, or missing, or there twice."""
    changed = copy.deepcopy(value)
    holders = [changed, *_containers(changed)]
    holder = rng.choice([holder for holder in holders if holder] or [changed])
    if not isinstance(holder, dict | list) or rng.random() < 0.02:
        return rng.choice(VALUES)
    key = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
    way = rng.randrange(9)
    if way == 0:
        del holder[key]
    elif way == 1 and isinstance(holder, dict):
        holder[rng.choice(["", "extra", "__class__", "x" * 300, f"{key} ", "\ud800"])] = holder[key]
    elif way == 1 and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif way == 2:
        holder[key] = [holder[key]]
    elif way == 3:
        holder[key] = str(holder[key])[:100]
    elif way == 4 and isinstance(holder[key], int | float):
        holder[key] = rng.choice([-holder[key], holder[key] * 10**6, holder[key] + 0.5])
    elif way == 5:
        other = rng.choice(list(holder)) if isinstance(holder, dict) else rng.randrange(len(holder))
        holder[key], holder[other] = holder[other], holder[key]
    else:
        holder[key] = rng.choice(VALUES)
    return changed


def mutated_text(value: Any, rng: random.Random) -> bytes:
    """The same as a file; now and then its bytes are changed instead, or it is nested deeply."""
    way = rng.random()
    if way < 0.75:
        return json.dumps(mutated(value, rng)).encode()
    text = json.dumps(value).encode()
    if way < 0.78:
        depth = rng.choice(DEPTHS)
        key = rng.choice(list(value) if isinstance(value, dict) and value else ["a"])
        deep = b"[" * depth + b"]" * depth
        return json.dumps({**value, key: "DEEP"}).encode().replace(b'"DEEP"', deep) if isinstance(value, dict) else deep
    return mutated_bytes(text, rng)


def mutated_bytes(content: bytes, rng: random.Random, most: int = 4) -> bytes:
    """Bytes changed, cut out, repeated, or cut off at the end."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, most)):
        place, way = rng.randrange(len(changed) + 1), rng.randrange(6)
        end = min(len(changed), place + rng.choice([1, 1, 2, 4, 8, 100]))
        if way < 3:
            for index in range(place, end):
                changed[index] = rng.choice([0, 0xFF, changed[index] ^ (1 << rng.randrange(8)), rng.randrange(256)])
        elif way == 3:
            del changed[place:end]
        elif way == 4:
            changed[place:place] = changed[place:end]
        elif rng.random() < 0.3:
            del changed[place:]
        if not changed:
            break
    return bytes(changed)


def _containers(value: Any) -> Iterator[Any]:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        if isinstance(child, dict | list):
            yield child
            yield from _containers(child)
