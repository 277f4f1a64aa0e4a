"""The networks of the recipes, and the list of recipes as JSON."""

import json
from dataclasses import asdict
from typing import Any

import torch

from mobiledet.backbones import build_backbone
from mobiledet.complexity import count_parameters
from mobiledet.detectors import Detector, build_detector
from mobiledet.options import read_words
from mobiledet.spec import image_sides
from mobiledet.training.recipes import RECIPES, recipe_config
from mobiledet.training.setup import build_detector_options


def recipe_network(name: str) -> Detector:
    """The randomly initialised network of a recipe, with the number of classes of its source."""
    config = recipe_config(name)
    backbone = build_backbone(config.backbone, options=read_words(config.backbone_options, "--backbone-options"))
    size = image_sides(config.image_size)
    return build_detector(config.detector, backbone, RECIPES[name].classes, size, build_detector_options(config))


def recipe_json() -> str:
    """All recipes as a JSON list. ``parameters`` counts the parameters of the network built here;
    ``published_parameters`` is the count that the source states, or null if it states none."""
    records: list[dict[str, Any]] = []
    for name, recipe in RECIPES.items():
        with torch.device("meta"):
            parameters = count_parameters(recipe_network(name))
        records.append({"name": name, "parameters": parameters, **asdict(recipe)})
    return json.dumps(records, indent=2)
