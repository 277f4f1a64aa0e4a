"""What can be set for a training run. Imports no torch, so that the command line starts fast."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class TrainConfig:
    """Train a detector on COCO or on any COCO-format set.

    The run folder gets best.ckpt (highest validation mAP, ready for `mobiledet export`), last.ckpt (to resume),
    config.json, metrics.jsonl and a TensorBoard log.
    """

    data: str = "shapes"
    """A folder in COCO's layout (annotations/instances_{train,val}2017.json, {train,val}2017/*.jpg), or `shapes` for
    the built-in synthetic set."""
    train_images: Path | None = None
    """Folder of training images, instead of --data; needs --train-annotations."""
    train_annotations: Path | None = None
    """COCO JSON of the training images."""
    val_images: Path | None = None
    """Folder of validation images, instead of --data; needs --val-annotations."""
    val_annotations: Path | None = None
    """COCO JSON of the validation images."""

    backbone: str = "shufflenet_v2_1x"
    """Network that computes the features, such as shufflenet_v2_2x; `mobiledet list` has them all."""
    pretrained: str = ""
    """Weights that the backbone starts from: `imagenet` (published ones, see `mobiledet list`), or a file: a
    checkpoint of mobiledet with this backbone, or a state dict of torchvision, timm or the ShuffleNet authors. Random
    by default."""
    detector: str = "ssdlite_fpn"
    """ssdlite (levels from stride 16, as in the papers) or ssdlite_fpn (a small pyramid from stride 8)."""
    image_size: int = 320
    """Side of the square input in pixels, a multiple of 32."""
    anchors: Literal["default", "fit"] = "default"
    """default: the detector's own (ssdlite: SSD's boxes, ssdlite_fpn: one square a cell); fit: three a cell, clustered
    from the training boxes."""
    loss: Literal["default", "hard_negative", "focal"] = "default"
    """default: the detector's own (ssdlite: hard_negative, ssdlite_fpn: focal)."""

    crop_probability: float = 0.7
    """Share of training images that are randomly cropped; short runs learn faster with less."""

    epochs: int = 100
    """Passes over the training images."""
    batch_size: int = 32
    """Images of one step, on all devices together."""
    lr: float = 0.002
    """Highest learning rate; it rises linearly over the warm-up and falls along a cosine."""
    weight_decay: float = 0.02
    """Of AdamW; not applied to biases and normalisation."""
    decay_depthwise: bool = True
    """Apply the weight decay to depthwise convolutions too; MobileNet's authors do not."""
    warmup_steps: int = 300
    """Steps until the highest learning rate, at most a tenth of the run."""
    clip_norm: float = 10.0
    """Largest norm of the gradient."""
    ema_decay: float = 0.9998
    """Of the averaged weights, which are evaluated and saved; 0 turns averaging off."""

    eval_every: int = 1
    """Epochs between evaluations; the last epoch is always evaluated."""
    workers: int = -1
    """Processes that load and augment images; -1 chooses by the number of cores."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """Numbers of the forward pass; auto: bf16-mixed on a GPU that has it, else 32-true."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train."""
    devices: int = 1
    """GPUs, or processes where training runs on the CPU. Small networks use two cores far better as two processes than
    as one with two threads. The batch is divided among them."""
    seed: int = 0
    """Of weights, order and augmentation."""
    out: Path | None = None
    """Run folder; default runs/NAME-DATE."""
    resume: Path | None = None
    """Run folder to go on with; its own settings are used."""
    on_bad_data: Literal["error", "skip"] = "error"
    """A damaged image or annotation stops the run, or is left out and reported."""
