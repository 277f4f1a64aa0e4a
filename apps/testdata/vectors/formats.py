"""Texts of SHA256SUMS and golden.json, valid and malformed."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mobiledet.errors import UserError
from mobiledet.files.checksums import parse_checksums
from mobiledet.golden import read_golden, write_golden
from vectors.bundles import MODEL, PACKAGE, SPEC, golden

A, B = "0" * 64, "0123456789abcdef" * 4


def sums_cases() -> list[dict[str, Any]]:
    """Texts of SHA256SUMS: the checksum of each path in it, or null if it is malformed."""
    texts = [
        "",
        f"{A}  a\n",
        f"{A}  a\n{B}  b/c.d/e\n",
        f"{B}  b\n{A}  a\n",
        f"{A}  chien à poil 鳥 😀\n",
        f"{A}   two spaces before, two  inside\n",
        f"{A}  a",
        f"{A}  a\n\n",
        f"\n{A}  a\n",
        f"{A} a\n",
        f"{A} *a\n",
        f"{A}\ta\n",
        f"{A}  \n",
        f"{A}\n",
        f"{A}  a\r\n",
        f"{A}  a\tb\n",
        f"{A}  a\0b\n",
        f"{B.upper()}  a\n",
        f"{A[1:]}  a\n",
        f"{A}0  a\n",
        f"g{A[1:]}  a\n",
        f"\\{A}  a\n",
        f"# sums\n{A}  a\n",
        f"{A}  a\n{B}  a\n",
        f"{A}  a\n{A}  SHA256SUMS\n",
    ]
    return [{"text": text, "sums": _parsed(text)} for text in texts]


def _parsed(text: str) -> dict[str, str] | None:
    try:
        return parse_checksums(text.encode(), Path("bundle"))
    except UserError:
        return None


def golden_file_cases() -> list[dict[str, Any]]:
    """Texts of golden.json for the bundle ``good``; whether they can be used, and what is wrong with them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "golden"
        write_golden(folder, golden())
        path = folder / "golden.json"
        sound, cases = path.read_text(), []
        for text in _texts(sound):
            path.write_text(text)
            problem = ""
            try:
                read_golden(folder, SPEC, [MODEL, PACKAGE], Path("good"))
            except UserError as error:
                problem = str(error)
            cases.append({"text": text, "valid": not problem, "problem": problem})
        return cases


def _texts(sound: str) -> Iterator[str]:
    values = json.loads(sound)

    def changed(*path: Any, value: Any) -> str:
        copy = json.loads(sound)
        inner = copy
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        return json.dumps(copy)

    def left_out(*path: Any) -> str:
        copy = json.loads(sound)
        inner = copy
        for key in path[:-1]:
            inner = inner[key]
        del inner[path[-1]]
        return json.dumps(copy)

    file = ("files", MODEL)
    output, tolerance = (*file, "outputs", 0), (*file, "tolerance", "accelerated")
    yield sound
    yield json.dumps(values, indent=1)
    yield changed(*tolerance, value={"iou": 1, "score": 0})
    yield changed(*tolerance, value={"iou": 0.51, "score": 0.5})
    yield changed(*output, value={"boxes": [], "classes": [], "scores": [], "cut": 0.5})
    yield changed(*output, "boxes", value=[[-0.5, 0, 1.5, 1], [0, 0, 1, 1]])
    yield changed(*file, "runtime", value="")
    for version in (1, 3, "2", 2.5, True, None):
        yield changed("version", value=version)
    for path in (("version",), ("cases",), ("files",), ("files", PACKAGE), ("cases", 0, "input"), (*file, "runtime")):
        yield left_out(*path)
    for path in (
        (*file, "tolerance"),
        (*file, "tolerance", "cpu"),
        (*tolerance, "iou"),
        (*output, "cut"),
        (*output, "boxes"),
    ):
        yield left_out(*path)
    yield left_out(*file, "outputs", 2)
    yield changed("more", value=1)
    yield changed(*output, "more", value=1)
    yield changed("cases", value=[])
    yield changed("files", "other.tflite", value=values["files"][MODEL])
    for name in ("../labels.txt", "golden.json", "/etc/hostname.png", "..\\\\2.png", ".png", "2.PNG", "9.rgb", "", 2):
        yield changed("cases", 2, "input", value=name)
    yield changed("cases", 0, "input", value="2.png")
    yield changed("cases", 2, "input", value="0.rgb")
    for name, value in (
        ("iou", 0.5),
        ("iou", 1.01),
        ("iou", -1),
        ("iou", "1"),
        ("iou", True),
        ("score", 0.51),
        ("score", -0.01),
    ):
        yield changed(*tolerance, name, value=value)
    for value in ([], [[0, 0, 1]] * 2, [[0, 0, 1, None]] * 2, [[0, 0, 1, 1e39]] * 2, [[0, 0, 1, "1"]] * 2, [0] * 8):
        yield changed(*output, "boxes", value=value)
    for value in ([0, 3], [0, -1], [0, 1.5], [0], ["0", "1"], [0, True]):
        yield changed(*output, "classes", value=value)
    for value in ([0.9, 1.01], [0.9, -0.1], [0.9], [0.9, None]):
        yield changed(*output, "scores", value=value)
    for value in (0.51, -0.1, "0"):
        yield changed(*output, "cut", value=value)
    many = {"boxes": [[0, 0, 1, 1]] * 6, "classes": [0] * 6, "scores": [0.5] * 6, "cut": 0}
    yield changed(*output, value=many)
    for number in ("NaN", "Infinity", "1e999", "0x1", "1."):
        yield sound.replace("0.99", number)
    yield from ("", "[]", "null", "{", sound + "x", "[" * 2000)
