"""Jobs of bare networks; a real conversion is in tests/profile."""

from pathlib import Path

import pytest
import torch
from torch import nn

from mobiledet_converters import process
from mobiledet_converters.job import ANSWER
from mobiledet_converters.tflite.network import ChannelsLast, Network, NetworkJob, convert_networks

# a converter that writes nothing but what it was asked for
CONVERTER = """
from mobiledet_converters.job import ConvertedFile, serve
from mobiledet_converters.tflite.network import NETWORKS, NetworkJob
import torch

def convert(job):
    networks = torch.load(job.folder / NETWORKS, weights_only=False)
    for name in job.names:
        job.announce(f"doing {name}")
        (job.folder / f"{name}.tflite").write_text(str(networks[name].input_shape))
    return [ConvertedFile(f"{name}.tflite", "float32", {}) for name in job.names]

serve(convert, NetworkJob)
"""
NETWORK = Network(nn.Conv2d(5, 4, 1), (5, 6, 7))


@pytest.fixture
def own_converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "network_converter.py").write_text(CONVERTER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setitem(process.CONVERTERS, "network", ("network_converter", ()))
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def test_every_network_gets_its_file(own_converter: Path) -> None:
    told: list[str] = []
    files = convert_networks({"one": NETWORK, "two": NETWORK}, own_converter, told.append)
    assert {name: path.read_text() for name, path in files.items()} == {"one": "(5, 6, 7)", "two": "(5, 6, 7)"}
    assert "starting" in told
    assert (own_converter / ANSWER).exists()


def test_job_survives_the_file(tmp_path: Path) -> None:
    job = NetworkJob(tmp_path, ("a", "b"))
    assert NetworkJob.read(job.save()) == job


def test_channels_last_gives_the_same_numbers() -> None:
    image = torch.rand(1, 6, 7, 5)
    expected = NETWORK.module(image.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    assert torch.equal(ChannelsLast(NETWORK.module)(image), expected)
