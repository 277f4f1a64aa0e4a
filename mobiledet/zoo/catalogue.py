"""The published detectors: networks, published figures, and addresses of the weights. Does not import torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from mobiledet.options import DetectorOptions, FasterRcnnFpnOptions, NanoDetPlusOptions, SsdLiteOptions
from mobiledet.spec import IMAGENET_MEAN, IMAGENET_STD, NmsSpec

Kind = Literal["nanodet", "torchvision_ssdlite", "torchvision_faster_rcnn", "tensorflow_ssd"]
HALF_RANGE = (127.5, 127.5, 127.5)
VAL2017 = "val2017"
DEFAULT_NMS = NmsSpec()


@dataclass(frozen=True)
class ZooEntry:
    """A published detector.

    Attributes:
        kind: format of its file.
        backbone, backbone_options, detector, detector_options: the network in this project; anchors that are stored in
            the file are added by the import.
        side: side of the square input in pixels.
        resizing: how its publisher scales images, if not by stretching them to the square.
        mean, std: normalisation of each channel in 0..255.
        nms: suppression settings.
        source: publisher.
        url: address of the weights.
        sha256: start of the published file's SHA-256; empty if its source publishes none.
        licence: licence of the weights.
        published_map: COCO box mAP in percent.
        published_split: images on which it was measured.
        published_parameters: number of parameters according to the source, for its own number of logits; None if it
            gives none.
    """

    kind: Kind
    backbone: str
    detector: str
    detector_options: DetectorOptions
    side: int
    source: str
    url: str
    licence: str
    published_map: float
    published_split: str = VAL2017
    published_parameters: int | None = None
    sha256: str = ""
    resizing: str = ""
    backbone_options: Mapping[str, Any] = field(default_factory=dict)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    nms: NmsSpec = DEFAULT_NMS

    @property
    def file_name(self) -> str:
        """File name of the published weights."""
        name = self.url.rpartition("/")[2]
        return name if "?" not in name else f"{name.rpartition('id=')[2]}.pth"


NANODET_NMS = NmsSpec(iou=0.6, score=0.05)
# its 3598 cells need more candidates than the default: on 128 images of val2017 300 give AP 0.369, 500 give 0.373
NANODET_416_NMS = replace(NANODET_NMS, top_k=500)

# torchvision's network and its settings
FASTER_RCNN_320 = FasterRcnnFpnOptions(
    anchor_sides=(32.0, 64.0, 128.0, 256.0, 512.0),
    layers="full",
    channels=256,
    anchor_offset=0.0,
    canonical_side=224,
    box_head="two_layer",
    hidden=1024,
    class_agnostic=False,
    candidates=150,
    proposals=150,
    proposal_score=0.05,
    train_candidates=2000,
    train_proposals=2000,
    samples=512,
)
FASTER_RCNN_800 = replace(FASTER_RCNN_320, candidates=1000, proposals=1000)
# both of its maps have stride 32; its batch normalisation has PyTorch's default epsilon, not MobileNetV3's
FASTER_RCNN_BACKBONE = {"features": ["features.13", "features.16"], "norm_eps": 1e-5}
FASTER_RCNN_NMS = NmsSpec(iou=0.5, score=0.05)

TENSORFLOW_BACKBONE = {"padding": "same", "norm_eps": 1e-3}
TENSORFLOW_SSD = SsdLiteOptions(loss="sigmoid_hard_negative", padding="same", clip_last=True)
TENSORFLOW_NMS = NmsSpec(iou=0.6)
TENSORFLOW_ZOO = "https://storage.googleapis.com/download.tensorflow.org/models/object_detection"
TORCHVISION = "https://download.pytorch.org/models"
NANODET_DRIVE = "https://drive.google.com/uc?export=download&id="
NANODET_RELEASE = "https://github.com/RangiLyu/nanodet/releases/download/v1.0.0-alpha-1"

_NANODET = ZooEntry(
    "nanodet",
    "shufflenet_v2_1x",
    "nanodet_plus",
    NanoDetPlusOptions(),
    320,
    "NanoDet (RangiLyu/nanodet)",
    f"{NANODET_DRIVE}1Dq0cTIdJDUhQxJe45z6rWncbZmOyh1Tv",
    "Apache-2.0",
    27.0,
    published_parameters=1_170_000,
    backbone_options={"activation": "leaky_relu"},
    nms=NANODET_NMS,
)
_NANODET_15 = replace(
    _NANODET,
    backbone="shufflenet_v2_1.5x",
    url=f"{NANODET_DRIVE}1Xdlgu5lxiS3w6ER7GE1mZpY663wmpcyY",
    published_map=29.9,
    published_parameters=2_440_000,
    detector_options=NanoDetPlusOptions(channels=128),
)

ZOO = {
    "nanodet_plus_m_320": _NANODET,
    "nanodet_plus_m_416": replace(
        _NANODET,
        side=416,
        published_map=30.4,
        url=f"{NANODET_RELEASE}/nanodet-plus-m_416_checkpoint.ckpt",
        nms=NANODET_416_NMS,
    ),
    "nanodet_plus_m_1.5x_320": _NANODET_15,
    "nanodet_plus_m_1.5x_416": replace(
        _NANODET_15,
        side=416,
        published_map=34.1,
        url=f"{NANODET_DRIVE}16FJJJgUt5VrSKG7RM_ImdKKzhJ-Mu45I",
        nms=NANODET_416_NMS,
    ),
    "ssdlite320_mobilenet_v3_large": ZooEntry(
        "torchvision_ssdlite",
        "torchvision:mobilenet_v3_large-reduced_tail",
        "ssdlite",
        SsdLiteOptions(),
        320,
        "torchvision",
        f"{TORCHVISION}/ssdlite320_mobilenet_v3_large_coco-a79551df.pth",
        "BSD-3-Clause",
        21.3,
        published_parameters=3_440_060,
        sha256="a79551df",
        mean=HALF_RANGE,
        std=HALF_RANGE,
        nms=NmsSpec(iou=0.55, score=0.001),
    ),
    "fasterrcnn_mobilenet_v3_large_320_fpn": ZooEntry(
        "torchvision_faster_rcnn",
        "torchvision:mobilenet_v3_large",
        "faster_rcnn_fpn",
        FASTER_RCNN_320,
        320,
        "torchvision",
        f"{TORCHVISION}/fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth",
        "BSD-3-Clause",
        22.8,
        published_parameters=19_386_354,
        sha256="907ea3f9",
        resizing="the shorter side is scaled to 320 pixels, the longer one in proportion, to at most 640",
        backbone_options=FASTER_RCNN_BACKBONE,
        nms=FASTER_RCNN_NMS,
    ),
    "fasterrcnn_mobilenet_v3_large_fpn": ZooEntry(
        "torchvision_faster_rcnn",
        "torchvision:mobilenet_v3_large",
        "faster_rcnn_fpn",
        FASTER_RCNN_800,
        800,
        "torchvision",
        f"{TORCHVISION}/fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7.pth",
        "BSD-3-Clause",
        32.8,
        published_parameters=19_386_354,
        sha256="fb6a3cc7",
        resizing="the shorter side is scaled to 800 pixels, the longer one in proportion, to at most 1333",
        backbone_options=FASTER_RCNN_BACKBONE,
        nms=FASTER_RCNN_NMS,
    ),
    "tf:ssdlite_mobilenet_v2": ZooEntry(
        "tensorflow_ssd",
        "mobilenet_v2_1x",
        "ssdlite",
        TENSORFLOW_SSD,
        300,
        "TensorFlow's detection zoo",
        f"{TENSORFLOW_ZOO}/ssdlite_mobilenet_v2_coco_2018_05_09.tar.gz",
        "Apache-2.0",
        22.0,
        "a part of COCO's validation images, which its source does not name",
        backbone_options=TENSORFLOW_BACKBONE,
        mean=HALF_RANGE,
        std=HALF_RANGE,
        nms=TENSORFLOW_NMS,
    ),
    "tf:ssd_mobilenet_v1": ZooEntry(
        "tensorflow_ssd",
        "mobilenet_v1_1x",
        "ssdlite",
        replace(TENSORFLOW_SSD, layers="full"),
        300,
        "TensorFlow's detection zoo",
        f"{TENSORFLOW_ZOO}/ssd_mobilenet_v1_coco_2018_01_28.tar.gz",
        "Apache-2.0",
        21.0,
        "a part of COCO's validation images, which its source does not name",
        backbone_options=TENSORFLOW_BACKBONE,
        mean=HALF_RANGE,
        std=HALF_RANGE,
        nms=TENSORFLOW_NMS,
    ),
}
