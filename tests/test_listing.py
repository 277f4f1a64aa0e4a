import io
import json
from contextlib import redirect_stdout

import pytest

from mobiledet import listing
from mobiledet.backbones import BACKBONES
from mobiledet.cli import main
from mobiledet.listing import BackboneRecord


@pytest.fixture(scope="module")
def printed() -> list[dict[str, object]]:
    """What `mobiledet list --json` prints."""
    with redirect_stdout(io.StringIO()) as output:
        assert main(["list", "--json"]) == 0
    records: list[dict[str, object]] = json.loads(output.getvalue())
    return records


def test_every_backbone_has_a_line(printed: list[dict[str, object]]) -> None:
    assert [record["key"] for record in printed] == list(BACKBONES)


def test_figures_are_the_papers(printed: list[dict[str, object]]) -> None:
    (record,) = (record for record in printed if record["key"] == "mobilenet_v1_1x")
    assert record == {
        "key": "mobilenet_v1_1x",
        "parameters": 4_231_976,  # as in pytorchcv's model table
        "macs": 568_740_352,  # the paper: 569 M
        "published_top1": 70.9,
        "imagenet_weights": "timm",
    }
    (unpublished,) = (record for record in printed if record["key"] == "fd_mobilenet_0.75x")
    assert unpublished["published_top1"] is None
    assert unpublished["imagenet_weights"] is None


def test_table_tells_the_same(
    printed: list[dict[str, object]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = [BackboneRecord(**record) for record in printed]  # type: ignore[arg-type]
    monkeypatch.setattr(listing, "backbone_records", lambda: counted)
    assert main(["list"]) == 0
    table = capsys.readouterr().out
    for record in counted:
        (line,) = (line for line in table.splitlines() if f" {record.key} " in line)
        assert f"{record.parameters / 1e6:.2f}" in line
        assert f" {record.macs / 1e6:.0f} " in line
        assert str(record.published_top1 or "-") in line
    assert "torchvision:NAME" in table
