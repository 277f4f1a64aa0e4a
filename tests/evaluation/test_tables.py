import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path

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
