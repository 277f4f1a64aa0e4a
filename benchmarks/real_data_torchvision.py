"""Trains torchvision's SSDLite320 MobileNetV3 and writes its float32 .tflite file; a process of ``real_data.py``.

torchvision has a reference script, but no augmentation or schedule for sets like these: it is given the augmented
pictures of this project, SGD at its reference rate scaled to the batch, and a cosine, as in ``train_quality.py``.

    python real_data_torchvision.py FOLDER_OF_DATA FOLDER --epochs N --batch-size N --side PIXELS --seed N
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from real_data_arguments import peer_arguments
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList
from train_quality import PEERS, train_torchvision

from mobiledet_converters.tflite.network import Network, convert_networks


class Decoded(nn.Module):
    """The network with decoded boxes, for pictures of 1 x 3 x side x side in 0..1.

    Its output is 1 x A x 4 + C: boxes, xyxy as shares of the input, and scores of the classes.
    """

    def __init__(self, model: Any, side: int) -> None:
        super().__init__()
        self.backbone: nn.Module = model.backbone
        self.head: nn.Module = model.head
        self.coder = model.box_coder
        self.anchors: Tensor
        picture = torch.zeros(1, 3, side, side)
        features = list(self.backbone(picture).values())
        (anchors,) = model.anchor_generator(ImageList(picture, [(side, side)]), features)
        self.register_buffer("anchors", anchors / side)

    def forward(self, picture: Tensor) -> Tensor:
        features = list(self.backbone((picture - 0.5) / 0.5).values())
        found = self.head(features)
        boxes = self.coder.decode_single(found["bbox_regression"][0], self.anchors)
        return torch.cat([boxes[None], found["cls_logits"].softmax(-1)[..., 1:]], dim=-1)


def main() -> None:
    arguments = peer_arguments(__doc__)

    torch.manual_seed(arguments.seed)
    peer, weights = PEERS["ssdlite"], arguments.folder / "weights.pth"
    if not arguments.export_only:
        model = train_torchvision(
            peer, arguments.data, arguments.epochs, arguments.batch_size, arguments.side, arguments.seed
        )
        torch.save({"classes": model.head.classification_head.num_columns, "state": model.state_dict()}, weights)
        return
    saved = torch.load(weights, weights_only=True)
    model = peer.build(weights=None, weights_backbone=None, num_classes=saved["classes"])
    model.load_state_dict(saved["state"])
    # the converter's process unpickles the class from here
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    from real_data_torchvision import Decoded  # by the name under which that process finds it

    network = Network(Decoded(model.eval(), arguments.side), (3, arguments.side, arguments.side), passes=False)
    with tempfile.TemporaryDirectory() as work:
        file = convert_networks({"ssdlite": network}, Path(work))["ssdlite"]
        shutil.move(file, arguments.folder / "model.tflite")


if __name__ == "__main__":
    main()
