"""Training by ``mobiledet.train``."""

from pathlib import Path

import pytest

import mobiledet


def test_a_run(tiny_shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = mobiledet.train(
        backbone="shufflenet_v2_0.5x",
        data=tiny_shapes,
        image_size=64,
        epochs=1,
        batch_size=8,
        workers=0,
        accelerator="cpu",
        out=str(tmp_path / "run"),
        quiet=True,
    )
    assert run.best == tmp_path / "run" / "best.ckpt"
    assert run.best.is_file()
    assert run.metrics.images == 8
    assert capsys.readouterr().out == ""
    longer = mobiledet.train(resume=str(tmp_path / "run"), epochs=2, quiet=True)
    assert longer.best == run.best
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 2
