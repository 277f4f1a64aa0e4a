"""The report in a real browser, as wide as a phone and as a desktop: nothing sticks out, sorting and filtering work."""

import dataclasses
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mobiledet.evaluation.report import render
from mobiledet.evaluation.result import Result

# runs in the page after its own script, and leaves what it saw in an attribute
PROBE = """
const seen = {inner: innerWidth, page: document.documentElement.scrollWidth, charts: {}};
const visible = (element) => element.getClientRects().length > 0;
for (const kind of ["full", "narrow"])
  seen.charts[kind] = [...document.querySelectorAll("svg.chart." + kind)].filter(visible).length;
const out = [...document.querySelectorAll("main *")].filter((e) => {
  const box = e.getBoundingClientRect();
  return box.width && box.right > innerWidth + 1 && !e.closest(".wide") && !e.closest("svg");
});
seen.out = out.map((e) => e.tagName + "." + e.className).slice(0, 5);
const table = document.querySelector("#results table");
const column = (name) => [...table.tHead.rows[0].cells].findIndex((c) => c.textContent.trim() === name);
const shown = (index) => [...table.tBodies[0].rows].filter((r) => !r.hidden).map((r) => r.cells[index].textContent);
const index = column("p50 ms");
table.tHead.rows[0].cells[index].querySelector("button").click();
seen.once = shown(index);
table.tHead.rows[0].cells[index].querySelector("button").click();
seen.twice = shown(index);
const field = document.querySelector("#results input");
field.value = "ALPHA int8";
field.dispatchEvent(new Event("input"));
seen.filtered = shown(column("model"));
seen.count = document.querySelector("#results .filter span").textContent;
document.body.dataset.seen = JSON.stringify(seen);
"""


@pytest.fixture(scope="module")
def page(variant: Callable[..., Result]) -> str:
    """Many results: three models in three precisions on two devices, a browser, and one that slows down."""
    results = [
        variant(f"{name}-ssdlite_fpn-with-a-long-name-320", precision, ms, ap, device, size=size)
        for device, slower in (("local", 1), ("adb:0123456789ABCDEF", 3))
        for name, faster in (("alpha", 1), ("beta", 2), ("gamma", 5))
        for precision, ms, ap, size in (
            ("float32", 8 * slower * faster, 0.3 + 0.05 * faster, 4_000_000),
            ("float16", 7 * slower * faster, 0.299 + 0.05 * faster, 2_000_000),
            ("int8", 3 * slower * faster, 0.28 + 0.05 * faster, 1_000_000),
        )
    ]
    browser = dataclasses.replace(results[0].device, runtime="litert-wasm", name="browser")
    latency = results[0].latency
    assert latency
    plan = dataclasses.replace(latency.plan, seconds=60)
    started = tuple(range(0, 250 * 240_000_000, 240_000_000))
    sustained = dataclasses.replace(latency, plan=plan, started_ns=started)
    results += [dataclasses.replace(results[0], device=browser), dataclasses.replace(results[1], latency=sustained)]
    return render(results, failures={"evaluate-delta": "the agent at http://10.0.0.1:8765 cannot be reached"})


@pytest.mark.parametrize(("width", "kind"), [(400, "narrow"), (1200, "full")])
def test_page_fits_the_screen(
    width: int, kind: str, page: str, tmp_path: Path, real_program: Callable[[str, str], str]
) -> None:
    # a window of Chromium is at least 500 wide, so the page stands in a frame of the phone's width
    probed = page.replace("</body>", f"<script>{PROBE}</script></body>").replace('"', "&quot;")
    frame = tmp_path / "frame.html"
    frame.write_text(f'<iframe srcdoc="{probed}" style="width:{width}px;height:900px;border:0"></iframe>', "utf-8")
    reader = "<script>onload = () => { document.title = frames[0].document.body.dataset.seen; }</script>"
    frame.write_text(frame.read_text("utf-8") + reader, "utf-8")
    program = real_program("chromium", "chromium")
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [program, *options, "--window-size=1400,1000", "--dump-dom", frame.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    (title,) = re.findall("<title>({.*?})</title>", dom, re.DOTALL)
    seen = json.loads(title.replace("&amp;", "&").replace("&gt;", ">").replace("&lt;", "<"))
    assert seen["inner"] == width
    assert seen["page"] <= width
    assert seen["out"] == []
    assert seen["charts"] == {"full": 2 * (kind == "full"), "narrow": 2 * (kind == "narrow")}
    numbers = [float(text) for text in seen["once"]]
    assert len(numbers) == 20
    assert numbers == sorted(numbers, reverse=True)
    assert [float(text) for text in seen["twice"]] == sorted(numbers)
    assert seen["filtered"] == ["alpha-ssdlite_fpn-with-a-long-name-320"] * 2
    assert seen["count"] == "2 of 20"
