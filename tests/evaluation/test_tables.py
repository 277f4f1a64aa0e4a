import csv
import dataclasses
import html
from collections.abc import Callable
from pathlib import Path

import pytest

from mobiledet.evaluation.result import Result
from mobiledet.evaluation.tables import write_csv, write_markdown


def test_csv_holds_what_was_measured(tmp_path: Path, variant: Callable[..., Result]) -> None:
    whole = variant('odd, "name"', ms=5, ap=0.25)
    part = dataclasses.replace(variant("b"), latency=None, accuracy=None)
    write_csv(tmp_path / "r.csv", [whole, part])
    with (tmp_path / "r.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == ['odd, "name"', "b"]
    assert whole.latency
    assert float(rows[0]["p50_ms"]) == whole.latency.infer.p50_ms
    assert float(rows[0]["AP"]) == 0.25
    assert (rows[0]["device_name"], rows[0]["accelerator_actual"], rows[0]["mode"]) == ("local", "xnnpack", "image")
    assert rows[1]["AP"] == rows[1]["p50_ms"] == rows[1]["images_sha256"] == ""


def test_markdown_is_a_table_with_the_best_first(tmp_path: Path, variant: Callable[..., Result]) -> None:
    worse, better = variant("worse", ap=0.1), variant("a|b", "int8", ms=5, ap=0.2)
    unscored = dataclasses.replace(variant("unscored"), accuracy=None)
    write_markdown(tmp_path / "r.md", [worse, unscored, better])
    head, rule, *rows = (tmp_path / "r.md").read_text(encoding="utf-8").splitlines()
    assert rule == "|" + " --- |" * 9
    assert head.startswith("| model | precision | mAP |")
    assert [row.split(" | ")[0] for row in rows] == [r"| a\|b", "| worse", "| unscored"]
    cells = rows[0].split(" | ")
    assert [cells[1], cells[2], cells[4]] == ["int8", "0.200", "5.00"]


@pytest.mark.parametrize(
    "name",
    ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1+1", "\r\n=1", '  =HYPERLINK("http://evil.example")'],
)
def test_csv_holds_no_formula(name: str, tmp_path: Path, variant: Callable[..., Result]) -> None:
    write_csv(tmp_path / "r.csv", [variant(name, device=name)])
    with (tmp_path / "r.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["model"] == row["device_name"] == f"'{name}"
    assert float(row["AP"]) == 0.3


def test_numbers_below_zero_stay_numbers(tmp_path: Path, variant: Callable[..., Result]) -> None:
    write_csv(tmp_path / "r.csv", [variant(ap=-1)])
    with (tmp_path / "r.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["AP"] == "-1"


def test_markdown_shows_texts_as_they_are(tmp_path: Path, variant: Callable[..., Result]) -> None:
    odd = "<img src=x onerror=alert(1)>\n| [a](http://evil.example) ![b](c) `d` **e** \\| &amp;"
    write_markdown(tmp_path / "r.md", [variant(odd)])
    *_, row = (tmp_path / "r.md").read_text(encoding="utf-8").splitlines()
    for mark in ("<", ">", "`", "*", "[", "]", "!"):
        assert mark not in row
    assert len(row.replace(r"\|", "").split("|")) == 11
    shown = html.unescape(row.replace(r"\|", "|"))
    assert " ".join(odd.split()) in shown
