import base64
import dataclasses
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mobiledet import cli
from mobiledet.bundle import KernelCheck
from mobiledet.devices.untimed import EMULATED
from mobiledet.errors import UserError
from mobiledet.evaluation.report import render, write_report
from mobiledet.evaluation.result import Result, write_result

Variant = Callable[..., Result]
Parse = Callable[[str], Any]


@pytest.fixture
def results(variant: Variant) -> list[Result]:
    return [
        variant("alpha-ssd", "float32", ms=10, ap=0.3000, size=4000),
        variant("alpha-ssd", "int8", ms=5, ap=0.2900, size=1000),
        variant("beta-ssd", "float32", ms=20, ap=0.2500, size=9000),
    ]


def test_page_is_well_formed_and_whole(results: list[Result], parse: Parse) -> None:
    text = render(results)
    page = parse(text)
    assert text.startswith("<!doctype html>")
    assert page.open == []
    for section in ("chart", "results", "latency", "precision", "classes", "devices", "bundles", "method"):
        assert page.has(section)
    assert not page.has("pictures")
    links = {attributes["href"] for name, attributes in page.elements if name == "a"}
    assert links == {f"#{a['id']}" for name, a in page.elements if name == "section"}
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))


def test_page_needs_nothing_from_outside(results: list[Result], parse: Parse) -> None:
    text = render(results)
    page = parse(text)
    for name, attributes in page.elements:
        assert name not in ("link", "iframe", "object", "base")
        for key in ("src", "href", "srcset", "action"):
            assert (attributes.get(key) or "#").startswith(("#", "data:"))
        assert not any(key.startswith("on") for key in attributes)
    assert not re.search(r"https?://|@import|url\(", text)
    (policy,) = (a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert any(a.get("name") == "viewport" for _, a in page.elements)


def test_marks_fronts_and_names(results: list[Result], parse: Parse) -> None:
    page = parse(render(results))
    points = page.of_class("point")
    behind = page.of_class("behind")
    # two charts, for wide and narrow screens, and one mark in the legend
    assert len(points) == 2 * 3 + 1
    assert len(behind) == 2 * 1
    assert len(page.of_class("front")) == 2
    for name in ("alpha float32", "alpha int8", "beta float32"):
        assert name in page.text
    assert "beta-ssd float32: mAP 0.250, p50 20.0 ms" in page.text


def test_series_of_two_devices_have_marks_of_their_own(variant: Variant, parse: Parse) -> None:
    page = parse(render([variant("a", ms=5), variant("b", ms=50, ap=0.2, device="adb:77")]))
    for series in ("s0", "s1"):
        assert len([a for a in page.of_class("point") if series in (a["class"] or "").split()]) == 3
        assert len([a for a in page.of_class("front") if series in (a["class"] or "").split()]) == 2
    outlines = {a["d"] for a in page.of_class("point")}
    assert len(outlines) == 2
    assert page.of_class("behind") == []
    assert "adb:77" in page.text
    assert "Different markers mean different devices" in page.text


def test_image_lists_get_charts_of_their_own(variant: Variant, parse: Parse) -> None:
    page = parse(render([variant("a", images="x"), variant("b", images="y")]))
    charts = [a for a in page.of_class("chart") if (a["aria-label"] or "").startswith("mAP against latency")]
    assert len(charts) == 4


def test_table_sorts_by_numbers_that_are_in_it(results: list[Result], parse: Parse) -> None:
    text = render([*results, dataclasses.replace(results[0], accuracy=None, latency=None)])
    assert text.count('data-value="0.29"') == 1
    assert 'data-value=""' in text
    page = parse(text)
    assert len(page.of_class("sortable")) == 1
    headings = [name for name, _ in page.elements].count("button")
    table = text.split('class="sortable"')[1].split("</table>")[0]
    assert table.count("data-value=") == 4 * headings
    assert "1 of 4 results lack accuracy or latency" in page.text


def test_precision_ladder_by_hand(results: list[Result]) -> None:
    ladder = render(results).split('id="precision"')[1].split("</section>")[0]
    cells = re.findall(r"<td>(.*?)</td>", ladder)
    assert cells[:4] == ["float32", "4 kB (100 %)", "0.300", "–"]
    assert cells[6:10] == ["int8", "1 kB (25 %)", "0.290", "−0.0100"]
    assert float(cells[11].split()[0]) == pytest.approx(2, abs=0.02)
    assert len(cells) == 12  # beta has one precision only


def test_classes_and_stages_are_shown(results: list[Result], parse: Parse) -> None:
    page = parse(render(results))
    shares = [a["style"] for name, a in page.elements if name == "i" and (a.get("style") or "").startswith("--share")]
    assert shares[:9] == ["--share:100.0%"] * 9
    assert set(shares[9:]) == {"--share:0.0%"}, "no kind of error"
    widths = [
        float(a["style"][6:-1]) for n, a in page.elements if n == "i" and (a.get("style") or "").startswith("width")
    ]
    assert sum(widths) == pytest.approx(300, abs=1)


def test_emulated_result_is_set_apart(variant: Variant, tmp_path: Path) -> None:
    """In the table, without a time, in no chart; the card of its file names the kernels."""
    native = variant("alpha-ssd", "float32", ms=10, ap=0.3000, size=4000)
    assert native.accuracy
    check = KernelCheck(True, "litert 2.3.0", "QEMU 10.0.13", "litert 2.3.0, x86_64", cases=3)
    emulated = dataclasses.replace(
        native,
        device=dataclasses.replace(native.device, name="arm:cortex-a53", runtime=EMULATED),
        file=dataclasses.replace(
            native.file, kernels={"cortex-a53": check, "max": dataclasses.replace(check, within=False)}
        ),
        latency=None,
        accuracy=dataclasses.replace(native.accuracy, stages={}),
    )
    text = render([native, emulated])
    assert "litert-emulated, no latency" in text
    assert "cortex-a53, max (outside)" in text
    assert "1 of 2 results lack accuracy or latency" in text
    assert Result.from_json(json.loads(json.dumps(emulated.to_json())), "x") == emulated
    for broken in (
        dataclasses.replace(emulated, latency=native.latency),
        dataclasses.replace(native, accuracy=emulated.accuracy),
    ):
        with pytest.raises(UserError, match="is a damaged result"):
            Result.from_json(json.loads(json.dumps(broken.to_json())), "x")


def test_throttled_result_is_flagged(variant: Variant, parse: Parse) -> None:
    sound = variant()
    assert sound.latency
    assert "throttled" not in parse(render([sound])).text
    infer = dataclasses.replace(sound.latency.infer, throttled=True)
    hot = dataclasses.replace(sound, latency=dataclasses.replace(sound.latency, infer=infer))
    assert "throttled" in parse(render([hot])).text


def test_foreign_text_is_escaped(variant: Variant, parse: Parse) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    base = variant(evil, device=evil)
    assert base.accuracy
    metrics = dataclasses.replace(base.accuracy.metrics, per_class={evil: 0.5})
    accuracy = dataclasses.replace(base.accuracy, metrics=metrics, dataset=evil, skipped=(evil,))
    parity = dataclasses.replace(base.file, parity={evil: evil}, path=evil)
    page = parse(render([dataclasses.replace(base, accuracy=accuracy, command=evil, file=parity)], title=evil))
    assert page.open == []
    assert [name for name, _ in page.elements].count("script") == 1
    assert [name for name, _ in page.elements].count("img") == 0
    assert not any("onerror" in attributes for _, attributes in page.elements)
    assert page.text.count(evil) > 10


def test_results_without_a_chart(tmp_path: Path, variant: Variant, parse: Parse) -> None:
    part = dataclasses.replace(variant(), accuracy=None)
    assert write_report([part], tmp_path / "report.html") is None
    page = parse((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "nothing to draw" in page.text
    assert page.has("latency")
    assert not page.has("classes")
    assert not (tmp_path / "report.png").exists()


def test_pictures_are_embedded(tmp_path: Path, variant: Variant, parse: Parse) -> None:
    (tmp_path / "drawn").mkdir()
    colors = np.random.default_rng(0).integers(0, 255, (1200, 1600, 3), np.uint8)
    Image.fromarray(colors).save(tmp_path / "drawn" / "big <1>.png")
    page = parse(render([variant()], pictures=tmp_path / "drawn"))
    (source,) = (a["src"] for name, a in page.elements if name == "img")
    assert source is not None
    kind, _, content = source.partition(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as picture:
        assert picture.size == (720, 540)
    assert "big <1>.png" in page.text
    assert page.has("pictures")


def test_png_shows_every_series(tmp_path: Path, variant: Variant) -> None:
    results = [
        variant("a$x$", ms=5),
        variant("b", ms=200, ap=0.5),
        variant("c", ms=20, device="adb:77"),
        variant("d", images="y"),
    ]
    png = write_report(results, tmp_path / "page.html", tmp_path / "deep" / "chart.png")
    assert png == tmp_path / "deep" / "chart.png"
    with Image.open(png) as chart:
        assert chart.size == (2000, 2 * 1120)
        pixels = np.asarray(chart.convert("RGB")).reshape(-1, 3)
    for color in ((0x2A, 0x6F, 0xDB), (0xC8, 0x64, 0x1B)):
        assert (pixels == color).all(axis=1).sum() > 200


def test_command(
    tmp_path: Path,
    results: list[Result],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    parse: Parse,
) -> None:
    monkeypatch.chdir(tmp_path)
    for index, result in enumerate(results):
        write_result(tmp_path / f"{index}.json", result)
    assert cli.main(["report", ".", "--title", "Three"]) == 0
    assert "report.html" in capsys.readouterr().out
    page = parse((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Three" in page.text
    with Image.open(tmp_path / "report.png") as chart:
        assert chart.format == "PNG"


def test_mistakes(tmp_path: Path, result: Result, capsys: pytest.CaptureFixture[str]) -> None:
    good = tmp_path / "good.json"
    write_result(good, result)
    (tmp_path / "bundle.json").write_text('{"schema_version": 1}')
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    page = tmp_path / "report.html"
    for arguments, reason in (
        (["none.json"], "cannot read none.json"),
        ([str(good), str(tmp_path / "bundle.json")], "is not a result of mobiledet evaluate"),
        ([str(good), "--pictures", str(tmp_path / "empty")], "holds no images"),
        ([str(good), "--out", str(tmp_path / "file" / "report.html")], "cannot write"),
        ([str(good), "--out", str(tmp_path / "empty")], "it is a folder"),
    ):
        out = [] if "--out" in arguments else ["--out", str(page)]
        assert cli.main(["report", *arguments, *out]) == 2
        assert reason in capsys.readouterr().err
    assert not page.exists()
    assert not list(tmp_path.glob("*.png"))
