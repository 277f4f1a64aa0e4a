"""Detectors: the table ``DETECTORS``, and ``build_detector``, which builds one of them."""

from collections.abc import Callable
from typing import Any, NamedTuple

from mobiledet.backbones import Backbone, build_backbone
from mobiledet.detectors.base import (
    Detector,
    ImageDetections,
    RawOutputs,
    StaticDetections,
    Targets,
    TwoStageOutputs,
)
from mobiledet.detectors.faster_rcnn import PYRAMID_SCALES, faster_rcnn, faster_rcnn_fpn
from mobiledet.detectors.nanodet_plus import nanodet_plus
from mobiledet.detectors.ssdlite import LEVELS, PYRAMID_LEVELS, ssdlite, ssdlite_fpn
from mobiledet.errors import UserError, unknown_name
from mobiledet.options import NO_OPTIONS, OPTIONS, DetectorOptions
from mobiledet.registry import Registry
from mobiledet.spec import ModelSpec


class DetectorEntry(NamedTuple):
    """A row of ``DETECTORS``.

    Attributes:
        build: called with backbone, num_classes, image_size and options.
        levels: number of feature levels with their own anchors; 0 for a detector without anchors.
        options: the class of the detector's options.
    """

    build: Callable[[Backbone, int, tuple[int, int], Any], Detector]
    levels: int
    options: type[DetectorOptions] = DetectorOptions


_OURS = {
    "ssdlite": DetectorEntry(ssdlite, LEVELS, OPTIONS["ssdlite"]),
    "ssdlite_fpn": DetectorEntry(ssdlite_fpn, PYRAMID_LEVELS, OPTIONS["ssdlite_fpn"]),
    "faster_rcnn": DetectorEntry(faster_rcnn, 1, OPTIONS["faster_rcnn"]),
    "faster_rcnn_fpn": DetectorEntry(faster_rcnn_fpn, len(PYRAMID_SCALES), OPTIONS["faster_rcnn_fpn"]),
    "nanodet_plus": DetectorEntry(nanodet_plus, 0, OPTIONS["nanodet_plus"]),
}
# includes those of other packages, which register a ``DetectorEntry`` in the entry point group `mobiledet.detectors`
DETECTORS: Registry[DetectorEntry] = Registry("detector", "mobiledet.detectors", _OURS)


def detector_entry(key: str) -> DetectorEntry:
    """The row of a detector.

    Raises:
        UserError: the key is unknown (the message suggests similar ones), or its package provides something else.
    """
    if key not in DETECTORS:
        raise unknown_name("detector", key, DETECTORS)
    entry = DETECTORS[key]
    if not isinstance(entry, DetectorEntry) or not issubclass(entry.options, DetectorOptions):
        raise UserError(f"detector {key} is a {type(entry).__name__}, not a mobiledet.detectors.DetectorEntry")
    return entry


def build_detector(
    key: str,
    backbone: Backbone,
    num_classes: int,
    image_size: tuple[int, int],
    options: DetectorOptions = NO_OPTIONS,
) -> Detector:
    """Build a randomly initialised detector.

    Args:
        key: a key of ``DETECTORS``.
        backbone: computes the feature maps.
        num_classes: number of classes, without background.
        image_size: (height, width) in pixels.
        options: options of this detector; those not given have the defaults of ``DetectorEntry.options``.

    Raises:
        UserError: the key is unknown (the message suggests similar ones), an option is unknown or not valid, or
            backbone or detector do not support this image size.
    """
    entry = detector_entry(key)
    try:
        checked = entry.options.read(options.to_json(), "detector_options")
    except ValueError as error:
        raise UserError(f"detector {key}: {error}") from error
    backbone.check_size(image_size)
    return entry.build(backbone, num_classes, image_size, checked)


def detector_from_spec(spec: ModelSpec) -> Detector:
    """Build the network that a spec describes, randomly initialised.

    Raises:
        UserError: backbone, detector or an option is unknown, or the value of an option is not valid.
    """
    size = (spec.input.height, spec.input.width)
    backbone = build_backbone(spec.backbone, options=spec.backbone_options)
    try:
        return build_detector(spec.detector, backbone, spec.num_classes, size, spec.detector_options)
    except UserError:
        raise
    except Exception as error:  # options from a file may have any values, on which a detector may fail in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        options = ", ".join(spec.detector_options.to_json()) or "none"
        raise UserError(f"detector {spec.detector} cannot be built with the options {options}: {reason}") from error


__all__ = [
    "DETECTORS",
    "Detector",
    "DetectorEntry",
    "DetectorOptions",
    "ImageDetections",
    "RawOutputs",
    "StaticDetections",
    "Targets",
    "TwoStageOutputs",
    "build_detector",
    "detector_entry",
    "detector_from_spec",
]
