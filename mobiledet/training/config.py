"""What can be set for a training run. Imports no torch, so that the command line starts fast."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mobiledet.data.config import DataOptions, Exif, ResizeOptions

MOST_EPOCHS = 1_000_000


@dataclass(frozen=True)
class TrainConfig(ResizeOptions, DataOptions):
    """Train a detector on COCO, or on annotated images of your own.

    The run folder gets best.ckpt (highest validation mAP, ready for `mobiledet export`), last.ckpt and previous.ckpt
    (to resume), report.html (curves, pictures as they are trained on, predictions, mistakes, classes), config.json,
    metrics.jsonl, curves.jsonl, left_out.txt (what --on-bad-data skip leaves out) and a TensorBoard log. Where the
    output is no terminal, a line a minute tells the loss, the speed and the time that is left. Ctrl-C and SIGTERM write
    last.ckpt and stop; a second Ctrl-C stops at once.
    """

    recipe: str = ""
    """Published settings to begin with; `--recipe list` shows them. Options that are given win over the recipe's."""
    json: bool = False
    """With `--recipe list`: print JSON, with the parameters of the network that each recipe builds."""

    data: str = "shapes"
    """A folder of annotated images: COCO's layout, Roboflow's, YOLO's or Pascal VOC's (see --data-format), or `shapes`
    for the built-in synthetic set. `mobiledet data FOLDER` shows what is in it."""
    train_images: Path | None = None
    """Folder of training images, instead of --data; needs --train-annotations."""
    train_annotations: Path | None = None
    """COCO JSON of the training images."""
    val_images: Path | None = None
    """Folder of validation images, instead of --data; needs --val-annotations."""
    val_annotations: Path | None = None
    """COCO JSON of the validation images."""
    exif: Exif = "auto"
    """Whether images are turned as their EXIF orientation says: always (apply), never (ignore), or unless the size in
    the annotations is that of the stored pixels alone (auto). It goes into the bundle, for evaluate and predict."""

    backbone: str = "shufflenet_v2_1x"
    """Network that computes the features, such as shufflenet_v2_2x; `mobiledet list` has them all."""
    pretrained: str = ""
    """Weights that the backbone starts from: `imagenet` (published ones, see `mobiledet list`), or a file: a
    checkpoint of mobiledet with this backbone, or a state dict of torchvision, timm or the ShuffleNet authors. Random
    by default."""
    init: Path | None = None
    """Fine-tuning: a checkpoint of mobiledet with this backbone and detector, whose backbone, neck and head the run
    starts from instead of --pretrained. The layers that depend on the classes start anew where the classes differ."""
    qat: bool = False
    """Quantisation-aware fine-tuning of the detector in --init, whose backbone, detector, image size and resize are
    taken: it learns with the rounding of an int8 file, which then loses less. `mobiledet train --qat --init
    runs/x/best.ckpt --data ...`, then `mobiledet export` as ever. Without a recipe the defaults of --epochs and --lr
    are 3 and 0.0005 then. mAP is that of rounded numbers; normalisation keeps its statistics."""
    freeze_backbone: bool = False
    """Leave the backbone as it is, normalisation statistics included; needs --pretrained or --init."""
    detector: str = "ssdlite_fpn"
    """ssdlite (levels from stride 16, as in the papers), ssdlite_fpn (a small pyramid from stride 8), faster_rcnn (one
    level, as in the papers), faster_rcnn_fpn, or nanodet_plus (a pyramid from stride 8, no anchors)."""
    image_size: int | str = 320
    """Side of the square input in pixels, or height x width, such as 192x320; multiples of 32 for detectors with a
    pyramid. How pictures become it says --resize."""
    detector_options: tuple[str, ...] = ()
    """Options of the detector, each NAME=VALUE with a JSON value, such as layers=full channels=256; `--detector-options
    help` explains those of --detector, with types and defaults. What is not named is that of --init or the default. In
    Python: `mobiledet.options.NanoDetPlusOptions(guidance=False).words`."""
    backbone_options: tuple[str, ...] = ()
    """Options of the backbone, such as activation=\"leaky_relu\"."""
    anchors: Literal["default", "fit"] = "default"
    """default: the detector's own (ssdlite: SSD's boxes, ssdlite_fpn: one square a cell); fit: three a cell, clustered
    from the training boxes."""
    loss: Literal["default", "hard_negative", "focal"] = "default"
    """default: the detector's own (ssdlite: hard_negative, ssdlite_fpn: focal)."""

    augmentation: Literal["default", "flip", "ssd", "ssdlite", "nanodet"] = "default"
    """default: crops, flip and colours, mild; flip: nothing else; ssd: SSD's colours, zoom-out, IoU crop and flip;
    ssdlite: IoU crop and flip; nanodet: NanoDet's change of scale, shift, flip and colours."""
    crop_probability: float | None = None
    """Share of training images that are randomly cropped; short runs learn faster with less. By default that of the
    augmentation."""

    epochs: int = 100
    """Passes over the training images."""
    batch_size: int = 32
    """Images of one step, on all devices and in all parts (--accumulate) together."""
    accumulate: int = 1
    """Parts that the batch is divided into, computed one after the other: a large batch on little memory. Each part is
    normalised by itself, and its loss is a mean of its own."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """Rule of the steps."""
    momentum: float = 0.9
    """Of sgd."""
    lr: float = 0.002
    """Highest learning rate."""
    lr_batch_size: int = 0
    """Batch size that --lr is meant for; for another --batch-size the rate is scaled in proportion. 0: --lr is used as
    it is."""
    schedule: Literal["cosine", "steps"] = "cosine"
    """After the linear rise of the warm-up the learning rate falls along a cosine, or is multiplied by --lr-gamma at
    the epochs --lr-steps."""
    final_lr: float = 0.02
    """Of the cosine: the last learning rate as a share of the highest."""
    lr_steps: tuple[int, ...] = ()
    """Of the steps: the epochs after which the learning rate falls."""
    lr_gamma: float = 0.1
    """Of the steps: what the learning rate is multiplied by."""
    warmup_steps: int = 300
    """Steps until the highest learning rate, at most a tenth of the run."""
    weight_decay: float = 0.02
    """Not applied to biases and normalisation."""
    decay_depthwise: bool = True
    """Apply the weight decay to depthwise convolutions too; MobileNet's authors do not."""
    clip_norm: float = 10.0
    """Largest norm of the gradient; 0 sets no limit."""
    ema_decay: float = 0.9998
    """Of the averaged weights, which are evaluated and saved; 0 turns averaging off."""
    sync_bn: bool = False
    """Normalise by the statistics of the images on all GPUs, not of each GPU's own."""

    eval_every: int = 1
    """Epochs between evaluations; the last epoch is always evaluated."""
    patience: int = 0
    """Evaluations without a better mAP after which the run ends before its last epoch; 0: it never does. The schedule
    of the learning rate stays that of --epochs. A run that ended so is complete; `--resume RUN --patience 0` goes
    on."""
    workers: int = -1
    """Processes that load and augment images; -1 chooses by the number of cores."""
    cache_images: Path | None = None
    """Folder to keep decoded training images in, so that each is decoded once; several runs may share it. The space
    that they take is told at the start: about 1 MB for each image of COCO. Images that together take less than 1 GB
    are kept in memory anyhow."""
    scorer: Literal["hotcoco", "faster-coco-eval", "pycocotools"] = "hotcoco"
    """What computes COCO's numbers; all give the same, the first one by far the fastest."""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    """Numbers of the forward pass; auto: bf16-mixed on a GPU that has it, else 32-true."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train."""
    devices: int | Literal["auto"] = 1
    """GPUs of each machine, or processes where training runs on the CPU; auto: all GPUs, or a process for each core.
    Small networks use two cores far better as two processes than as one with two threads. The batch is divided among
    them, and each normalises by the statistics of its share, so that results differ a little with the number; auto
    leaves each eight images or more, and says what it chose. torchrun and SLURM set it themselves."""
    nodes: int = 1
    """Machines; start the same command on each with torchrun or srun, or with MASTER_ADDR, MASTER_PORT and NODE_RANK in
    the environment."""
    seed: int = 0
    """Of weights, order and augmentation."""
    out: Path | None = None
    """Run folder; default runs/NAME-DATE."""
    resume: Path | None = None
    """Run folder to go on with. Its own settings are used, but for these, which may be given anew: --data (where it
    was moved), --epochs, --eval-every, --patience, --save-every-minutes, --workers, --devices, --nodes, --accelerator,
    --precision, --cache-images, --scorer and --on-bad-data."""
    save_every_minutes: float = 10.0
    """Between checkpoints within an epoch; each epoch ends with one too."""

    @property
    def device_count(self) -> int:
        """``devices``, once ``auto`` has become a number."""
        assert isinstance(self.devices, int)
        return self.devices
