"""Holds out images of a data set for validation. Imports no torch."""

import dataclasses
import re
from collections import defaultdict

import numpy as np

from mobiledet.data.config import SplitBy
from mobiledet.data.dataset import DetectionSet, LabelledImage
from mobiledet.errors import UserError


def hold_out(dataset: DetectionSet, share: float, seed: int, by: SplitBy) -> tuple[DetectionSet, DetectionSet]:
    """Split a data set in two at random; the same seed gives the same split.

    Args:
        dataset: the whole data set.
        share: fraction of the images that are held out.
        seed: random seed, not negative.
        by: which images stay together, see ``group_of``.

    Returns:
        the remaining data set, and the one with the held-out images.

    Raises:
        UserError: a number is out of range, or one of the two would be empty.
    """
    if not 0 < share < 1:
        raise UserError(f"--val-share {share:g} is not between 0 and 1")
    if seed < 0:
        raise UserError(f"--split-seed {seed} is negative")
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for index, image in enumerate(dataset.images):
        groups[group_of(image, by)].append(index)
    wanted = max(1, round(share * len(dataset.images)))
    names = sorted(groups)
    kept_apart: set[int] = set()
    for place in np.random.default_rng(seed).permutation(len(names)).tolist():
        group = groups[names[place]]
        # a group that would exceed the wanted number is skipped
        if len(kept_apart) + len(group) <= wanted:
            kept_apart.update(group)
    if not kept_apart and len(names) > 1:
        kept_apart.update(groups[min(names, key=lambda name: len(groups[name]))])
    if not kept_apart or len(kept_apart) == len(dataset.images):
        raise UserError(
            f"--val-share {share:g} --split-by {by}: {dataset.annotations} has only {len(names)} group of images; "
            "choose another --split-by"
        )
    parts = [
        tuple(image for index, image in enumerate(dataset.images) if (index in kept_apart) == is_apart)
        for is_apart in (False, True)
    ]
    note = f"{len(parts[1])} of {len(dataset.images)} images are held out for validation (--split-by {by})"
    train = dataclasses.replace(dataset, images=parts[0], notes=(*dataset.notes, note))
    return train, dataclasses.replace(dataset, images=parts[1], left_out=(), notes=())


def group_of(image: LabelledImage, by: SplitBy) -> str:
    """The key of the group that an image belongs to: the image alone, its folder, or the images in its folder whose
    names differ only in the last number, such as the frames of a video."""
    if by == "picture":
        return str(image.path)
    if by == "folder":
        return str(image.path.parent)
    return str(image.path.parent / frame_prefix(image.path.stem))


def frame_prefix(stem: str) -> str:
    """A file name without the number at its end: ``cam0_frame_0012`` becomes ``cam0_frame``."""
    return re.sub(r"[\s._-]*\d+$", "", stem) if re.search(r"\d+$", stem) else stem
