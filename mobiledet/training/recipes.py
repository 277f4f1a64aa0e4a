"""Published training settings, as data. Imports no torch.

All recipes differ from their sources in three points: images are stretched to a square (unless --resize says
otherwise), weight decay is not applied to biases and normalisation layers, and the warm-up takes at most a tenth of the
run.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mobiledet.errors import unknown_name
from mobiledet.keywords import option_text
from mobiledet.options import option_words
from mobiledet.training.config import TrainConfig
from mobiledet.zoo.catalogue import FASTER_RCNN_320, FASTER_RCNN_800, FASTER_RCNN_BACKBONE, ZOO
from mobiledet.zoo.coco import LAST_ID

LIST = "list"

# torchvision keeps every box whose centre is inside the crop, even if most of the box is outside
EVERY_BOX = {"min_visibility": 0.0, "min_side": 1.0}

# defaults of --qat without a recipe: a trained detector needs few and small steps
QAT: dict[str, Any] = {"epochs": 3, "lr": 5e-4}

# by --augmentation, the fields of data.transforms.Augmentation that differ from its defaults
AUGMENTATIONS: dict[str, Mapping[str, Any]] = {
    "default": {},
    "flip": {"crop_probability": 0.0, "colour_probability": 0.0},
    # torchvision references/detection/presets.py: `ssd`, `ssdlite`
    "ssd": {
        "crop_probability": 0.0,
        "zoom_out_probability": 0.5,
        "iou_crop_probability": 1.0,
        "colour_probability": 0.5,
        "brightness": (0.875, 1.125),
        "contrast": (0.5, 1.5),
        "saturation": (0.5, 1.5),
        "channel_shuffle_probability": 0.5,
        **EVERY_BOX,
    },
    "ssdlite": {"crop_probability": 0.0, "iou_crop_probability": 1.0, "colour_probability": 0.0, **EVERY_BOX},
    # nanodet config/nanodet-plus-m_320.yml
    "nanodet": {
        "crop_probability": 0.0,
        "scale": (0.6, 1.4),
        "stretch": (0.8, 1.2),
        "shift": 0.2,
        "colour_probability": 0.5,
        "brightness": (0.8, 1.2),
        "contrast": (0.6, 1.4),
        "saturation": (0.5, 1.2),
        "hue": 0.0,
    },
}


@dataclass(frozen=True)
class Recipe:
    """Training settings and the mAP that they were published with.

    Attributes:
        source: who published the settings, and where ours differ.
        target_map: COCO box mAP in percent that the source reports; None if it reports none.
        split: the images that it was measured on.
        settings: fields of ``TrainConfig``; the others keep their defaults.
        published_parameters: number of parameters of the network as the source states it; None if it states none.
        classes: the number of classes that ``published_parameters`` refers to.
    """

    source: str
    target_map: float | None
    split: str
    settings: Mapping[str, Any]
    published_parameters: int | None = None
    classes: int = 80


# torchvision references/detection/train.py with its defaults: 8 GPUs with 2 images each
_TORCHVISION_FASTER_RCNN: dict[str, Any] = {
    "backbone": "torchvision:mobilenet_v3_large",
    "backbone_options": option_words(FASTER_RCNN_BACKBONE),
    "pretrained": "imagenet",
    "detector": "faster_rcnn_fpn",
    "detector_options": FASTER_RCNN_320.words,
    "image_size": 320,
    "augmentation": "flip",
    "epochs": 26,
    "batch_size": 16,
    "lr_batch_size": 16,
    "optimizer": "sgd",
    "lr": 0.02,
    "schedule": "steps",
    "lr_steps": (16, 22),
    "warmup_steps": 1000,
    "weight_decay": 1e-4,
    "clip_norm": 0.0,
    "ema_decay": 0.0,
}

# config/nanodet-plus-m_320.yml
_NANODET: dict[str, Any] = {
    "backbone": "shufflenet_v2_1x",
    "backbone_options": option_words(ZOO["nanodet_plus_m_320"].backbone_options),
    "pretrained": "imagenet",
    "detector": "nanodet_plus",
    "image_size": 320,
    "augmentation": "nanodet",
    "epochs": 300,
    "batch_size": 96,
    "lr_batch_size": 96,
    "optimizer": "adamw",
    "lr": 1e-3,
    "schedule": "cosine",
    "final_lr": 0.05,
    "warmup_steps": 500,
    "weight_decay": 0.05,
    "clip_norm": 35.0,
    "ema_decay": 0.9998,
    "eval_every": 10,
}

# config/nanodet-plus-m-1.5x_320.yml
_NANODET_WIDE: dict[str, Any] = {
    **_NANODET,
    "backbone": "shufflenet_v2_1.5x",
    "detector_options": ZOO["nanodet_plus_m_1.5x_320"].detector_options.words,
}

_NANODET_DIFFERENCES = (
    "the source initialises its averaged weights differently, and evaluates with score 0.05 and NMS IoU 0.6"
)

_SHUFFLENET_FASTER_RCNN: dict[str, Any] = {
    **_TORCHVISION_FASTER_RCNN,
    "backbone": "shufflenet_v1_2x_g3",
    "backbone_options": (),
    "pretrained": "",
    "detector": "faster_rcnn",
    "detector_options": (),
}

_FASTER_RCNN_DIFFERS = (
    "here background has no box outputs and batch normalisation is trained; the source scales the shorter side to"
)
_SHUFFLENET_SOURCE = (
    "ShuffleNet (arXiv:1707.01083, table 7), 2x g3; the paper starts from its ImageNet weights (--pretrained FILE) and "
    "gives neither schedule nor head: the schedule is torchvision's, the head this project's"
)

RECIPES = {
    "ssdlite320_mobilenet_v3_large": Recipe(
        "torchvision ssdlite320_mobilenet_v3_large, references/detection",
        21.3,
        "val2017",
        {
            "backbone": "torchvision:mobilenet_v3_large-reduced_tail",
            "detector": "ssdlite",
            "image_size": 320,
            "augmentation": "ssdlite",
            "epochs": 660,
            "batch_size": 192,
            "lr_batch_size": 192,
            "optimizer": "sgd",
            "lr": 0.15,
            "schedule": "cosine",
            "final_lr": 0.0,
            "warmup_steps": 1000,
            "weight_decay": 4e-5,
            "clip_norm": 0.0,
            "ema_decay": 0.0,
            "eval_every": 10,
        },
        ZOO["ssdlite320_mobilenet_v3_large"].published_parameters,
        LAST_ID,
    ),
    "fasterrcnn_mobilenet_v3_large_320_fpn": Recipe(
        f"torchvision fasterrcnn_mobilenet_v3_large_320_fpn, references/detection; {_FASTER_RCNN_DIFFERS} 320",
        22.8,
        "val2017",
        _TORCHVISION_FASTER_RCNN,
        ZOO["fasterrcnn_mobilenet_v3_large_320_fpn"].published_parameters,
        LAST_ID,
    ),
    "fasterrcnn_mobilenet_v3_large_fpn": Recipe(
        f"torchvision fasterrcnn_mobilenet_v3_large_fpn, references/detection; {_FASTER_RCNN_DIFFERS} 800",
        32.8,
        "val2017",
        {**_TORCHVISION_FASTER_RCNN, "detector_options": FASTER_RCNN_800.words, "image_size": 800},
        ZOO["fasterrcnn_mobilenet_v3_large_fpn"].published_parameters,
        LAST_ID,
    ),
    "nanodet_plus_m_320": Recipe(
        f"NanoDet-Plus, config/nanodet-plus-m_320.yml; {_NANODET_DIFFERENCES}",
        27.0,
        "val2017",
        _NANODET,
        ZOO["nanodet_plus_m_320"].published_parameters,
    ),
    "nanodet_plus_m_416": Recipe(
        f"NanoDet-Plus, config/nanodet-plus-m_416.yml; {_NANODET_DIFFERENCES}",
        30.4,
        "val2017",
        {**_NANODET, "image_size": 416},
        ZOO["nanodet_plus_m_416"].published_parameters,
    ),
    "nanodet_plus_m_1.5x_320": Recipe(
        f"NanoDet-Plus, config/nanodet-plus-m-1.5x_320.yml; {_NANODET_DIFFERENCES}",
        29.9,
        "val2017",
        _NANODET_WIDE,
        ZOO["nanodet_plus_m_1.5x_320"].published_parameters,
    ),
    "nanodet_plus_m_1.5x_416": Recipe(
        f"NanoDet-Plus, config/nanodet-plus-m-1.5x_416.yml; {_NANODET_DIFFERENCES}",
        34.1,
        "val2017",
        {**_NANODET_WIDE, "image_size": 416},
        ZOO["nanodet_plus_m_1.5x_416"].published_parameters,
    ),
    "shufflenet_faster_rcnn_300": Recipe(
        _SHUFFLENET_SOURCE, 18.7, "5,000 images of val2014 (minival)", {**_SHUFFLENET_FASTER_RCNN, "image_size": 320}
    ),
    "shufflenet_faster_rcnn_600": Recipe(
        _SHUFFLENET_SOURCE, 24.5, "5,000 images of val2014 (minival)", {**_SHUFFLENET_FASTER_RCNN, "image_size": 608}
    ),
    "finetune": Recipe(
        "this project: a short run from a trained detector (--init) on your own classes",
        None,
        "",
        {"epochs": 20},
    ),
}


def recipe_config(name: str, **changes: Any) -> TrainConfig:
    """The settings of a recipe with some changes.

    Raises:
        UserError: the recipe is unknown; the message suggests similar names.
    """
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    return TrainConfig(recipe=name, **{**RECIPES[name].settings, **changes})


def base_config_of_arguments(arguments: Sequence[str]) -> TrainConfig:
    """The settings that the options of a command line are applied to, see ``base_config``.

    Raises:
        UserError: the run, the recipe or the checkpoint does not exist.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--recipe", nargs="?", default="")
    parser.add_argument("--qat", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--resume", nargs="?", default="")
    parser.add_argument("--init", nargs="?", default="")
    named = parser.parse_known_args(arguments)[0]
    recipe = "" if named.recipe == LIST else named.recipe or ""
    resume, init = (Path(path) if path else None for path in (named.resume, named.init))
    return base_config(recipe, named.qat, resume, init)


def base_config(recipe: str, qat: bool, resume: Path | None, init: Path | None) -> TrainConfig:
    """The settings that explicit options are applied to: those of the run to resume, else of the recipe, else the
    defaults of ``--qat`` or the general ones; with the network of ``init``, unless the recipe has its own.

    Raises:
        UserError: the run, the recipe or the checkpoint does not exist.
    """
    if resume:
        from mobiledet.training.resume import config_to_resume  # loads torch

        return config_to_resume(resume)
    config = recipe_config(recipe) if recipe else TrainConfig(**(QAT if qat else {}))
    if init is None:
        return config
    from mobiledet.training.finetune import network_settings  # loads torch

    of_recipe = RECIPES[recipe].settings if recipe else {}
    network = {name: value for name, value in network_settings(init).items() if name not in of_recipe}
    return replace(config, **network)


def recipe_list() -> str:
    """All recipes: names, targets, settings and sources."""
    paragraphs = []
    for name, recipe in RECIPES.items():
        target = f"mAP {recipe.target_map} on {recipe.split}" if recipe.target_map else "no published mAP"
        options = " ".join(option_text(key, value) for key, value in recipe.settings.items() if value not in ("", ()))
        paragraphs.append(f"{name}: {target}\n  {recipe.source}\n  {options}")
    return "\n".join(paragraphs)
