"""Advice on how to improve a data set or the settings of training."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from mobiledet.data.dataset import DetectionSet, some
from mobiledet.data.summary import shorter_sides
from mobiledet.overview.measure import CopyFacts, PartFacts
from mobiledet.spec import InputSpec, sides_text

LEARNABLE = 8.0  # shorter side of a box in pixels of the input; smaller objects are hard to detect
MANY = 0.1  # fraction of small boxes above which advice is given
SIZES = (320, 416, 512, 640)


def advise(
    parts: Sequence[DetectionSet],
    facts: Sequence[PartFacts],
    copies: CopyFacts,
    undecodable: Sequence[str],
    detector: str,
    size: InputSpec,
    has_validation: bool,
    suspicious: int,
) -> list[str]:
    """Sentences of advice, the most important first."""
    train = parts[0]
    return [
        *_bad_data(facts, undecodable),
        *_validation(facts, has_validation),
        *_copies(copies),
        *_size(train, detector, size),
        *_classes(train),
        *([f"{suspicious} labels look suspicious: see their images below."] if suspicious else []),
    ]


def _bad_data(facts: Sequence[PartFacts], undecodable: Sequence[str]) -> list[str]:
    advice = []
    total = sum(part.left_out for part in facts)
    if total:
        reasons: Counter[str] = Counter()
        for part in facts:
            reasons.update(part.left_out_by_reason)
        counted = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        advice.append(
            f"{total} entries are bad ({counted}). Fix them, or train with --on-bad-data skip, which leaves them out."
        )
    if undecodable:
        advice.append(f"{len(undecodable)} images cannot be decoded, such as: {undecodable[0]}.")
    return advice


def _validation(facts: Sequence[PartFacts], has_validation: bool) -> list[str]:
    if not has_validation:
        return [
            "There is no validation split. Train with --val-share 0.2. If the images are frames of videos, add "
            "--split-by prefix, so that the frames of a video stay in one split."
        ]
    if len(facts) > 1 and not facts[1].boxes:
        return ["The validation split has no boxes, so there will be no mAP. Annotate it, or use --val-share 0.2."]
    return []


def _copies(copies: CopyFacts) -> list[str]:
    advice = []
    if copies.exact_across:
        advice.append(
            f"{copies.exact_across} images are in two splits, byte for byte: the score on them means nothing. "
            "Remove them from one split."
        )
    if copies.near_across:
        frames = f", {copies.leaking_frames} of them frames of one series" if copies.leaking_frames else ""
        advice.append(
            f"{copies.near_across} pairs of nearly equal images are in different splits{frames}: mAP will be too high. "
            "Keep each series in one split: --val-share 0.2 --split-by prefix (or folder)."
        )
    if copies.exact_within:
        advice.append(f"{copies.exact_within} images are repeated within a split, so they count more than once.")
    return advice


def _size(train: DetectionSet, detector: str, size: InputSpec) -> list[str]:
    sides = shorter_sides(train, size)
    longer = max(size.height, size.width)
    if not len(sides):
        return []
    share = float((sides < LEARNABLE).mean())
    if share <= MANY:
        return []
    fitting = next(
        (side for side in SIZES if side > longer and (sides * side / longer < LEARNABLE).mean() <= MANY), None
    )
    named = sides_text(size.height, size.width)
    advice = [f"{share:.0%} of the training boxes are below {LEARNABLE:g} pixels at --image-size {named}."]
    if fitting:
        larger = sides_text(*(-(-side * fitting // longer // 32) * 32 for side in (size.height, size.width)))
        advice[0] += f" At --image-size {larger} it would be {(sides * fitting / longer < LEARNABLE).mean():.0%}."
    else:
        large = int(np.median([max(image.width, image.height) for image in train.images]))
        advice[0] += (
            f" No common input size helps, because the images have {large} pixels along their longer side: cut them "
            "into tiles for training, and evaluate with --tiles."
        )
    if not detector.endswith("_fpn"):
        advice.append(f"{detector} starts at stride 16; ssdlite_fpn or faster_rcnn_fpn detect smaller objects.")
    return advice


def _classes(train: DetectionSet) -> list[str]:
    rare = [name for name, count in zip(train.labels, train.objects, strict=True) if 0 < count < 20]
    none = [name for name, count in zip(train.labels, train.objects, strict=True) if not count]
    advice = []
    if none:
        advice.append(f"{len(none)} classes have no training box and cannot be learned: {some(none)}.")
    if rare:
        advice.append(
            f"{len(rare)} classes have fewer than 20 training boxes: {some(rare)}. Their AP will mean little."
        )
    return advice
