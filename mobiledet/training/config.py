"""Options of the command train. Imports no torch, so that the command line starts fast."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mobiledet.data.config import DataOptions, Exif, ResizeOptions

MAX_EPOCHS = 1_000_000


@dataclass(frozen=True)
class TrainConfig(ResizeOptions, DataOptions):
    """Train a detector on COCO, or on annotated images of your own.

    The run folder gets best.ckpt (highest validation mAP, ready for `mobiledet export`), last.ckpt and previous.ckpt
    (to resume), report.html (curves, training images, predictions, mistakes, classes), config.json, metrics.jsonl,
    curves.jsonl, left_out.txt (images and annotations that --on-bad-data skip leaves out) and a TensorBoard log. If the
    output is not a terminal, loss, speed and remaining time are printed once a minute. Ctrl-C and SIGTERM write
    last.ckpt and stop; a second Ctrl-C stops at once.
    """

    recipe: str = ""
    """Published settings to start from; `--recipe list` shows all recipes. Options on the command line override the
    recipe's."""
    json: bool = False
    """With `--recipe list`: print JSON, including the number of parameters of each recipe's network."""

    data: str = "shapes"
    """A folder of annotated images in the layout of COCO, Roboflow, YOLO or Pascal VOC (see --data-format), or
    `shapes` for the built-in synthetic data set. `mobiledet data FOLDER` shows what is in a folder."""
    train_images: Path | None = None
    """Folder of training images, instead of --data; needs --train-annotations."""
    train_annotations: Path | None = None
    """COCO JSON file with the annotations of --train-images."""
    val_images: Path | None = None
    """Folder of validation images, instead of --data; needs --val-annotations."""
    val_annotations: Path | None = None
    """COCO JSON file with the annotations of --val-images."""
    exif: Exif = "auto"
    """Whether images are rotated according to their EXIF orientation. apply: always; ignore: never; auto: yes, unless
    the size in the annotations matches only the stored pixels. The choice is stored in the bundle, and evaluate and
    predict follow it."""

    backbone: str = "shufflenet_v2_1x"
    """Network that computes the features, such as shufflenet_v2_2x; `mobiledet list` shows all backbones."""
    pretrained: str = ""
    """Initial weights of the backbone, random by default. Either `imagenet` (published weights, see `mobiledet list`)
    or a file: a mobiledet checkpoint with this backbone, or a state dict from torchvision, timm or the ShuffleNet
    authors. Or the name of a published detector with this backbone (`mobiledet zoo`), such as nanodet_plus_m_320 for
    shufflenet_v2_1x."""
    init: Path | None = None
    """Fine-tuning: a mobiledet checkpoint, or the name of a published detector of `mobiledet zoo`, such as
    nanodet_plus_m_320, which is downloaded and imported on first use. Backbone, detector, image size and resize are
    those of the checkpoint unless they are given. Backbone, neck and head start from its weights, instead of from
    --pretrained. Layers that depend on the classes are initialised randomly if the classes differ."""
    qat: bool = False
    """Quantisation-aware fine-tuning of the detector in --init: training simulates the rounding of an int8 file, so
    that the exported int8 file loses less mAP. Backbone, detector, image size and resize are those of --init. Use
    `mobiledet train --qat --init runs/x/best.ckpt --data ...`, then `mobiledet export` as usual. Without a recipe,
    --epochs and --lr then default to 3 and 0.0005. The mAP that is reported is that of the quantised network. The
    statistics of batch normalisation stay fixed."""
    freeze_backbone: bool = False
    """Keep the backbone fixed, including its normalisation statistics; needs --pretrained or --init."""
    detector: str = "ssdlite_fpn"
    """Detection head: ssdlite (feature levels from stride 16, as in the papers), ssdlite_fpn (a small feature pyramid
    from stride 8), faster_rcnn (one level, as in the papers), faster_rcnn_fpn, or nanodet_plus (a feature pyramid from
    stride 8, no anchors)."""
    image_size: int | str = 320
    """Side of the square input in pixels, or height x width, such as 192x320. Detectors with a feature pyramid need
    multiples of 32. --resize says how images are fitted to the input."""
    detector_options: tuple[str, ...] = ()
    """Options of the detector, each as NAME=VALUE with a JSON value, such as layers=full channels=256.
    `--detector-options help` explains the options of --detector, with types and defaults. An option that is not named
    keeps its value from --init, or its default. In Python also an instance
    such as `mobiledet.options.NanoDetPlusOptions(guidance=False)`, or a dict."""
    backbone_options: tuple[str, ...] = ()
    """Options of the backbone, each as NAME=VALUE with a JSON value, such as activation=\"leaky_relu\"; in Python also
    a dict."""
    anchors: Literal["default", "fit"] = "default"
    """Anchor boxes. default: those of the detector (ssdlite: SSD's anchors, ssdlite_fpn: one square per cell); fit:
    three per cell, clustered from the training boxes."""
    loss: Literal["default", "hard_negative", "focal"] = "default"
    """Classification loss. hard_negative: SSD's cross-entropy with hard negative mining; focal: focal loss; default:
    that of the detector (ssdlite: hard_negative, ssdlite_fpn: focal)."""

    augmentation: Literal["default", "flip", "ssd", "ssdlite", "nanodet"] = "default"
    """Augmentation of training images. default: mild crops, flip and colour changes; flip: horizontal flip only; ssd:
    SSD's colour changes, zoom-out, IoU crop and flip; ssdlite: IoU crop and flip; nanodet: NanoDet's scaling, shift,
    flip and colour changes."""
    crop_probability: float | None = None
    """Probability that a training image is randomly cropped, 0..1; short runs learn faster with a lower value. The
    default depends on --augmentation."""

    epochs: int = 100
    """Number of passes over the training images."""
    batch_size: int | Literal["auto"] = "auto"
    """Images per optimiser step, over all devices and all micro-batches (--accumulate). auto: 32, or 16 or 8 for sets
    of fewer than 1,024 or 512 images, so that an epoch has enough steps; the number is printed."""
    accumulate: int = 1
    """Gradient accumulation: number of micro-batches that each batch is split into, to train large batches in little
    memory. Batch normalisation and the mean of the loss are computed for each micro-batch separately."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """Optimiser."""
    momentum: float = 0.9
    """Momentum of SGD; AdamW ignores it."""
    lr: float = 0.002
    """Peak learning rate, reached after the warm-up."""
    lr_batch_size: int = 0
    """Batch size that --lr was tuned for. With another --batch-size the learning rate is scaled in proportion. 0 uses
    --lr unscaled."""
    schedule: Literal["cosine", "steps"] = "cosine"
    """Learning rate schedule after the linear warm-up. cosine: the learning rate falls along half a cosine to
    --final-lr; steps: it is multiplied by --lr-gamma after each epoch in --lr-steps."""
    final_lr: float = 0.02
    """Learning rate at the end of the cosine schedule, as a fraction of the peak."""
    lr_steps: tuple[int, ...] = ()
    """Epochs after which the steps schedule lowers the learning rate, such as 80 95."""
    lr_gamma: float = 0.1
    """Factor that the steps schedule multiplies the learning rate by after each epoch in --lr-steps."""
    warmup_steps: int = 300
    """Length of the linear warm-up to the peak learning rate, in optimiser steps; at most a tenth of the run."""
    weight_decay: float = 0.02
    """Weight decay. It is not applied to biases and normalisation layers."""
    decay_depthwise: bool = True
    """Apply weight decay to depthwise convolutions too; MobileNet's authors do not."""
    clip_norm: float = 10.0
    """Gradient clipping: the largest norm of the gradient; 0 turns clipping off."""
    ema_decay: float = 0.9998
    """Decay of the exponential moving average of the weights, 0..1. The averaged weights are evaluated and saved; 0
    turns averaging off."""
    sync_bn: bool = False
    """Synchronise batch normalisation: compute its statistics over the images of all GPUs, not of each GPU alone."""

    eval_every: int = 1
    """Number of epochs between evaluations; the last epoch is always evaluated."""
    patience: int = 0
    """Early stopping: the run ends after this many evaluations without a better mAP; 0 turns early stopping off. The
    learning rate schedule still follows --epochs. A run that ended early is complete; `--resume RUN --patience 0`
    continues it."""
    workers: int = -1
    """Number of processes that load and augment images; -1 chooses by the number of cores."""
    cache_images: Path | None = None
    """Folder that keeps decoded training images, so that each is decoded only once. Several runs may share it. The
    space that it needs is printed at the start, about 1 MB per image of COCO. Images that need less than 1 GB in all
    are kept in memory without this option."""
    scorer: Literal["hotcoco", "faster-coco-eval", "pycocotools"] = "hotcoco"
    """Library that computes COCO's metrics. All give the same values; hotcoco is by far the fastest."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """Number format of the forward pass. auto: bf16-mixed on a GPU that supports it, otherwise 32-true."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Hardware to train on; auto takes a GPU if there is one."""
    devices: int | Literal["auto"] = 1
    """Number of GPUs on each machine, or of processes if training runs on the CPU. The batch is divided among them.
    auto uses all GPUs, or a process per core, with at least eight images each, and prints the number. Small networks
    use two cores far better as two processes than as one with two threads. Each process computes batch normalisation
    on its own share, so that results differ slightly with the number. Under torchrun and SLURM the launcher sets it."""
    nodes: int = 1
    """Number of machines. Start the same command on each with torchrun or srun, or set MASTER_ADDR, MASTER_PORT and
    NODE_RANK in the environment."""
    seed: int = 0
    """Random seed of the initial weights, the order of images and the augmentation."""
    out: Path | None = None
    """Run folder; by default runs/NAME-DATE."""
    resume: Path | None = None
    """Run folder of an interrupted or finished run to continue. The run's own settings are used. Only these may be
    changed: --data (if it was moved), --epochs, --eval-every, --patience, --save-every-minutes, --workers, --devices,
    --nodes, --accelerator, --precision, --cache-images, --scorer and --on-bad-data."""
    save_every_minutes: float = 10.0
    """Minutes between checkpoints within an epoch; one is also written at the end of each epoch."""

    @property
    def batch_images(self) -> int:
        """``batch_size`` as a number, once ``auto`` is resolved."""
        assert isinstance(self.batch_size, int)
        return self.batch_size

    @property
    def device_count(self) -> int:
        """``devices`` as a number, once ``auto`` is resolved."""
        assert isinstance(self.devices, int)
        return self.devices
