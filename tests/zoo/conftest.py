"""Published detectors: torchvision's networks with random weights, and graphs as TensorFlow's zoo freezes them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from torch import nn
from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn, ssdlite320_mobilenet_v3_large
from torchvision.models.detection.faster_rcnn import FasterRCNN
from torchvision.models.detection.ssd import SSD

SIDE = 320


def pictures() -> torch.Tensor:
    """Two images of noise, 0..1."""
    return torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def noise() -> torch.Tensor:
    return pictures()


def _learn_statistics(network: nn.Module, run: Callable[[], object]) -> None:
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # type: ignore[assignment]  # the mean of all that is seen
    with torch.no_grad():
        network.train()
        run()
    network.eval()


@pytest.fixture(scope="session")
def ssdlite() -> SSD:
    """Torchvision's SSDLite with statistics of the noise and scores of some spread."""
    torch.manual_seed(0)
    network = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
    _learn_statistics(network, lambda: network.head(list(network.backbone((pictures() - 0.5) / 0.5).values())))
    for layers in (*network.head.classification_head.module_list, *network.head.regression_head.module_list):
        layers[1].weight.data.mul_(3)
    return network


@pytest.fixture(scope="session")
def faster_rcnn() -> FasterRCNN:
    """Torchvision's Faster R-CNN with statistics of the noise and scores of some spread."""
    torch.manual_seed(0)
    network = fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None)
    mean, std = torch.tensor(network.transform.image_mean), torch.tensor(network.transform.image_std)
    images = (pictures() - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    _learn_statistics(network, lambda: network.backbone(images))
    head, predictor = network.rpn.head, network.roi_heads.box_predictor
    for layer, gain in (
        (head.cls_logits, 20.0),
        (head.bbox_pred, 10.0),
        (predictor.cls_score, 60.0),
        (predictor.bbox_pred, 10.0),
    ):
        layer.weight.data.mul_(gain)
    return network


@pytest.fixture(scope="session")
def frozen_graphs(pytestconfig: pytest.Config) -> Path:
    """Folder of the graphs and of what TensorFlow finds with them; kept in pytest's cache, TensorFlow is slow."""
    import hashlib

    script = Path(__file__).parent / "frozen_graphs.py"
    folder = pytestconfig.cache.mkdir(f"frozen-graphs-{hashlib.sha256(script.read_bytes()).hexdigest()[:12]}")
    with FileLock(folder / "lock"):  # several processes may run tests
        if not (folder / "done").exists():
            subprocess.run([sys.executable, str(script), str(folder)], check=True, capture_output=True)
            (folder / "done").touch()
    return folder


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, and no network."""
    from urllib.error import URLError

    def unreachable(*_: object, **__: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setenv("MOBILEDET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    return tmp_path / "cache"
