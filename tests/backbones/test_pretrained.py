"""Weights of other people's networks, random ones in files: the features and logits must be theirs."""

from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import pytest
import timm
import torch
import torchvision
from torch import nn

from mobiledet.backbones import BACKBONES, build_backbone, build_classifier, load_pretrained, pretrained
from mobiledet.backbones.pretrained import SOURCES, needs_of
from mobiledet.checkpoint import Checkpoint, save_checkpoint
from mobiledet.detectors import detector_from_spec
from mobiledet.errors import UserError
from mobiledet.spec import IMAGENET_MEAN, IMAGENET_STD, InputSpec, ModelSpec

CLASSES = 10

# Each is built with as many classes as it is told, its dropout off.
PEERS: dict[tuple[str, str], Callable[[], nn.Module]] = {
    ("mobilenet_v1_1x", "timm"): lambda: timm.create_model("mobilenetv1_100", num_classes=CLASSES),
    **{
        (f"mobilenet_v2_{width}x", "torchvision"): lambda width=width: torchvision.models.mobilenet_v2(
            num_classes=CLASSES, width_mult=width, dropout=0.0
        )
        for width in (0.35, 0.5, 0.75, 1, 1.3, 1.4)
    },
    **{
        (key, "timm"): lambda name=name: timm.create_model(name, num_classes=CLASSES, drop_rate=0.0)
        for key, name in {
            "mobilenet_v2_0.35x": "mobilenetv2_035",
            "mobilenet_v2_1x": "mobilenetv2_100",
            "mobilenet_v2_1.4x": "mobilenetv2_140",
            "ghostnet_0.5x": "ghostnet_050",
            "ghostnet_1x": "ghostnet_100",
            "ghostnet_1.3x": "ghostnet_130",
        }.items()
    },
    **{
        (key, "torchvision"): lambda name=name: torchvision.models.get_model(name, num_classes=CLASSES)
        for key, name in {
            "shufflenet_v2_0.5x": "shufflenet_v2_x0_5",
            "shufflenet_v2_1x": "shufflenet_v2_x1_0",
            "shufflenet_v2_1.5x": "shufflenet_v2_x1_5",
            "shufflenet_v2_2x": "shufflenet_v2_x2_0",
            "torchvision:mobilenet_v3_large": "mobilenet_v3_large",
        }.items()
    },
}


def experienced(network: nn.Module) -> nn.Module:
    """The network with statistics and normalisation away from their start."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    network.train()(torch.randn(4, 3, 64, 64))
    return network


def saved(network: nn.Module, folder: Path) -> Path:
    path = folder / "weights.pth"
    torch.save(network.state_dict(), path)
    return path


@pytest.mark.parametrize(("key", "origin"), PEERS)
def test_outputs_are_those_of_the_peer(key: str, origin: str, tmp_path: Path) -> None:
    peer = experienced(PEERS[key, origin]())
    ours = build_classifier(key, CLASSES)
    load_pretrained(ours, key, saved(peer, tmp_path))
    if key.startswith("torchvision:"):  # the classifier of mobilenet_v3 has a dropout
        for network in (peer, ours.head):
            network.get_submodule("classifier.2").p = 0.0  # type: ignore[assignment]
    assert sum(t.numel() for t in ours.state_dict().values()) == sum(t.numel() for t in peer.state_dict().values())
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(images), peer.eval()(images), atol=1e-5, rtol=1e-5)
        # a step in training mode, and what it leaves behind: momentum and epsilon agree too
        torch.testing.assert_close(ours.train()(images), peer.train()(images), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ours.eval()(images), peer.eval()(images), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("key", "name", "layers"),
    [
        ("mobilenet_v2_1x", "mobilenet_v2", ("features.6", "features.13", "features.17")),
        ("shufflenet_v2_1x", "shufflenet_v2_x1_0", ("stage2", "stage3", "stage4")),
        ("torchvision:resnet18", "resnet18", ("layer2", "layer3", "layer4")),
    ],
)
def test_features_are_those_of_the_peer(key: str, name: str, layers: tuple[str, ...], tmp_path: Path) -> None:
    from torchvision.models.feature_extraction import create_feature_extractor

    peer = experienced(torchvision.models.get_model(name, num_classes=3)).eval()
    expected = create_feature_extractor(peer, list(layers))
    backbone = build_backbone(key, pretrained=str(saved(peer, tmp_path))).eval()
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        for mine, theirs in zip(backbone(images), expected(images).values(), strict=True):
            torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("part", ["classifier", "backbone", "detector"])
def test_our_own_files_are_recognised(part: str, tmp_path: Path) -> None:
    key = "ghostnet_0.5x"
    path = tmp_path / "own.ckpt"
    if part == "classifier":
        classifier = build_classifier(key)
        backbone = classifier.backbone
        torch.save(classifier.state_dict(), path)
    elif part == "backbone":
        backbone = build_backbone(key)
        torch.save(backbone.state_dict(), path)
    else:
        backbone = _save_detector(path, key)
    loaded = build_backbone(key, pretrained=str(path)).state_dict()
    assert all(torch.equal(tensor, loaded[name]) for name, tensor in backbone.state_dict().items())


def _save_detector(path: Path, key: str) -> nn.Module:
    spec = ModelSpec("cats", key, "ssdlite", InputSpec(64, 64), labels=("cat",), category_ids=(17,))
    detector = detector_from_spec(spec)
    save_checkpoint(path, Checkpoint(spec, detector.state_dict()))
    return detector.backbone


def test_file_of_a_training_script_is_unwrapped(tmp_path: Path) -> None:
    peer = torchvision.models.shufflenet_v2_x0_5(num_classes=3)
    path = tmp_path / "checkpoint.pth.tar"
    weights = {f"module.{name}": tensor for name, tensor in peer.state_dict().items()}
    torch.save({"epoch": 3, "state_dict": weights}, path)
    backbone = build_backbone("shufflenet_v2_0.5x", pretrained=str(path))
    assert torch.equal(next(backbone.parameters()), next(peer.parameters()))


def test_file_without_batch_counters(tmp_path: Path) -> None:
    peer = experienced(torchvision.models.shufflenet_v2_x0_5(num_classes=3))
    weights = {name: t for name, t in peer.state_dict().items() if not name.endswith("num_batches_tracked")}
    torch.save(weights, tmp_path / "old.pth")
    backbone = build_backbone("shufflenet_v2_0.5x", pretrained=str(tmp_path / "old.pth"))
    assert torch.equal(next(backbone.parameters()), next(peer.parameters()))


def test_detector_on_another_backbone(tmp_path: Path) -> None:
    _save_detector(tmp_path / "cats.ckpt", "ghostnet_0.5x")
    with pytest.raises(UserError, match=r"cats\.ckpt holds a detector on ghostnet_0\.5x, not on ghostnet_1x"):
        build_backbone("ghostnet_1x", pretrained=str(tmp_path / "cats.ckpt"))


@pytest.mark.parametrize(
    ("key", "content", "message"),
    [
        (
            "mobilenet_v2_1x",
            {"conv.weight": torch.zeros(1)},
            "in no known layout of mobilenet_v2_1x .*timm, torchvision",
        ),
        ("mobilenet_v2_1x", {"epoch": 3}, "holds no weights"),
        ("mobilenet_v2_1x", [torch.zeros(1)], "holds no weights"),
        ("mobilenet_v2_1x", {}, "holds no weights"),
        ("fd_mobilenet_1x", {"conv.weight": torch.zeros(1)}, "readable are files of mobiledet$"),
        ("torchvision:resnet18", {"conv1.weight": torch.zeros(1)}, "of another model"),
    ],
)
def test_file_of_something_else(key: str, content: object, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(UserError, match=message) as error:
        build_backbone(key, pretrained=str(tmp_path / "other.pth"))
    assert "other.pth" in str(error.value)


def test_no_tensor_is_skipped(tmp_path: Path) -> None:
    weights = torchvision.models.mobilenet_v2().state_dict()
    for change in ("features.5.conv.1.1.running_var", "classifier.1.bias"):
        torch.save({name: tensor for name, tensor in weights.items() if name != change}, tmp_path / "less.pth")
        with pytest.raises(UserError, match=r"less\.pth is a checkpoint of another model: 1 tensors"):
            build_backbone("mobilenet_v2_1x", pretrained=str(tmp_path / "less.pth"))
    for extra in ("features.5.conv.9.weight", "attention.weight"):
        torch.save(weights | {extra: torch.zeros(1)}, tmp_path / "more.pth")
        with pytest.raises(UserError, match=r"more\.pth is a checkpoint of another model: 1 tensors"):
            build_backbone("mobilenet_v2_1x", pretrained=str(tmp_path / "more.pth"))


def test_another_width(tmp_path: Path) -> None:
    path = saved(torchvision.models.mobilenet_v2(width_mult=0.5), tmp_path)
    with pytest.raises(UserError, match=r"of another model: .* tensors differ"):
        build_backbone("mobilenet_v2_1x", pretrained=str(path))


def test_missing_file() -> None:
    with pytest.raises(UserError, match=r"no checkpoint at absent\.pth"):
        build_backbone("mobilenet_v2_1x", pretrained="absent.pth")


def test_published_weights_exist_where_the_table_says() -> None:
    for key, source in SOURCES.items():
        assert key in BACKBONES
        if source.library == "torchvision":
            meta = torchvision.models.get_model_weights(source.name).DEFAULT
            mean, std = meta.transforms().mean, meta.transforms().std
        else:
            published = timm.get_pretrained_cfg(source.name)
            assert published is not None
            assert published.has_weights
            mean, std = published.mean, published.std
        assert source.mean == pytest.approx([255 * value for value in mean])
        assert source.std == pytest.approx([255 * value for value in std])


def test_imagenet_weights_come_from_torchvision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    peer = torchvision.models.mobilenet_v2()
    entry = torchvision.models.get_model_weights("mobilenet_v2").DEFAULT
    # the download's cache, filled beforehand; its name carries the beginning of the file's hash
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    torch.save(peer.state_dict(), tmp_path / "checkpoints" / Path(entry.url).name)
    backbone = build_backbone("mobilenet_v2_1x", pretrained="imagenet")
    assert torch.equal(next(backbone.parameters()), next(peer.parameters()))


@pytest.mark.parametrize("key", ["mobilenet_v2_1x", "ghostnet_1x"])
def test_without_a_network(key: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    monkeypatch.setattr("timm.create_model", unreachable)
    with pytest.raises(UserError, match=rf"cannot fetch the ImageNet weights of {key} .*--pretrained FILE") as error:
        build_backbone(key, pretrained="imagenet")
    assert "\n" not in str(error.value)


def test_without_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(UserError, match=r"package timm, which is not installed; install mobiledet\[pretrained\]"):
        build_backbone("ghostnet_1x", pretrained="imagenet")


@pytest.mark.parametrize("key", ["shufflenet_v1_1x_g3", "fd_mobilenet_1x", "mobilenet_v1_0.5x"])
def test_networks_without_published_weights(key: str) -> None:
    with pytest.raises(UserError, match=f"have no ImageNet weights of {key}; .*--pretrained FILE"):
        build_backbone(key, pretrained="imagenet")


def test_statistics_of_the_images_belong_to_the_weights() -> None:
    assert needs_of("mobilenet_v1_1x", pretrained.IMAGENET) == ((127.5,) * 3, (127.5,) * 3, {})
    assert needs_of("mobilenet_v1_1x", "") == (IMAGENET_MEAN, IMAGENET_STD, {})
    assert needs_of("ghostnet_1x", pretrained.IMAGENET) == (IMAGENET_MEAN, IMAGENET_STD, {})


def test_a_checkpoint_of_ours_tells_what_it_needs(tmp_path: Path) -> None:
    needed = InputSpec(64, 64, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0))
    options = {"activation": "leaky_relu"}
    spec = ModelSpec("cats", "ghostnet_0.5x", "ssdlite", needed, ("cat",), (17,), backbone_options=options)
    save_checkpoint(tmp_path / "cats.ckpt", Checkpoint(spec, detector_from_spec(spec).state_dict()))
    needs = needs_of("ghostnet_0.5x", tmp_path / "cats.ckpt", build_backbone("ghostnet_0.5x"))
    assert needs == (needed.mean, needed.std, options)


def test_classifier_needs_a_head_of_its_size(tmp_path: Path) -> None:
    path = saved(torchvision.models.mobilenet_v2(num_classes=5), tmp_path)
    load_pretrained(build_classifier("mobilenet_v2_1x", 5), "mobilenet_v2_1x", path)
    with pytest.raises(UserError, match=r"of another model: 2 tensors differ, such as head\.3\.bias"):
        load_pretrained(build_classifier("mobilenet_v2_1x", 6), "mobilenet_v2_1x", path)
