"""The facts about a data set as plain values, which become the command's JSON and its page."""

import dataclasses
import itertools
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mobiledet.data.dataset import DetectionSet
from mobiledet.data.record import ImageFile
from mobiledet.data.split import frame_prefix
from mobiledet.data.summary import SIDES, shorter_sides
from mobiledet.overview.anchors import AnchorFit
from mobiledet.overview.copies import exact_copies, near_copies
from mobiledet.overview.labels import KINDS, Suspicion, suspicions
from mobiledet.overview.pictures import name_of, summarise_images
from mobiledet.spec import InputSpec

SIZE_EDGES = (0, 3, 8, 16, 32, 64, 128, 256, 512, 10**6)
ASPECT_EDGES = (0, 0.2, 0.33, 0.5, 0.67, 1.5, 2, 3, 5, 10**6)
PER_IMAGE_EDGES = (0, 1, 2, 3, 5, 10, 20, 50, 100, 10**6)
MAX_LISTED = 200  # entries of a list; the JSON also has the total count


@dataclass(frozen=True)
class PartFacts:
    """Facts about one split of the data set; sides of boxes are in pixels of the input."""

    name: str
    images: int
    boxes: int
    crowds: int
    empty_images: int
    left_out: int
    left_out_by_reason: dict[str, int]
    left_out_list: list[str]
    notes: list[str]
    picture_sizes: dict[str, int]
    orientations: dict[str, int]
    boxes_per_image: dict[str, float]
    boxes_per_image_histogram: dict[str, int]
    shorter_sides: dict[str, float]
    shorter_sides_histogram: dict[str, int]
    aspect_ratio_histogram: dict[str, int]
    anchors: AnchorFit | None


@dataclass(frozen=True)
class ClassFacts:
    """Facts about one class: its boxes in each split, and their median size in pixels of the input."""

    name: str
    boxes: dict[str, int]
    median_width: float | None
    median_height: float | None


@dataclass(frozen=True)
class CopyFacts:
    """Duplicate and near duplicate images within and across splits; all empty if images were not decoded."""

    exact_within: int = 0
    exact_across: int = 0
    exact_groups: list[list[str]] = field(default_factory=list)
    near_within: int = 0
    near_across: int = 0
    near_pairs: list[list[str]] = field(default_factory=list)
    leaking_frames: int = 0
    leaking_prefixes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Overview:
    """All facts. ``suspicions`` holds indices, from which the page draws images; the JSON has names instead."""

    name: str
    format: str
    detector: str
    height: int
    width: int
    resize: str
    parts: list[PartFacts]
    classes: list[ClassFacts]
    copies: CopyFacts
    undecodable: list[str]
    suspicions: list[Suspicion]
    advice: list[str] = field(default_factory=list)


def part_facts(part: DetectionSet, name: str, size: InputSpec, anchors: AnchorFit | None) -> PartFacts:
    """Compute the facts about one split."""
    counts = np.array([len(image.labels) for image in part.images])
    sides = shorter_sides(part, size)
    boxes = np.concatenate([image.boxes_xyxy for image in part.images] or [np.zeros((0, 4), np.float32)])
    ratios = (boxes[:, 2] - boxes[:, 0]) / np.maximum(boxes[:, 3] - boxes[:, 1], 1e-6)
    sizes = Counter(f"{image.width} x {image.height}" for image in part.images)
    shapes = Counter(_orientation(image.width, image.height) for image in part.images)
    return PartFacts(
        name=name,
        images=len(part.images),
        boxes=int(counts.sum()),
        crowds=part.crowds,
        empty_images=int((counts == 0).sum()),
        left_out=len(part.left_out),
        left_out_by_reason=dict(Counter(entry.reason for entry in part.left_out).most_common()),
        left_out_list=[entry.text for entry in part.left_out],
        notes=list(part.notes),
        picture_sizes=dict(sizes.most_common(MAX_LISTED)),
        orientations=dict(shapes),
        boxes_per_image={"mean": float(counts.mean()), "median": float(np.median(counts)), "most": float(counts.max())},
        boxes_per_image_histogram=_histogram(counts, PER_IMAGE_EDGES),
        shorter_sides=_shares(sides),
        shorter_sides_histogram=_histogram(sides, SIZE_EDGES),
        aspect_ratio_histogram=_histogram(ratios, ASPECT_EDGES),
        anchors=anchors,
    )


def class_facts(parts: Sequence[DetectionSet], names: Sequence[str], size: InputSpec) -> list[ClassFacts]:
    """Facts about the classes of all splits, the most frequent first."""
    counts: defaultdict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(names, 0))
    sides: defaultdict[str, list[np.ndarray]] = defaultdict(list)
    for part, name in zip(parts, names, strict=True):
        boxes = [image.boxes_in_input(size) for image in part.images]
        labels = np.concatenate([image.labels for image in part.images] or [np.zeros(0, np.int64)])
        extent = np.concatenate(boxes or [np.zeros((0, 4), np.float32)])
        extent = extent[:, 2:] - extent[:, :2]
        for label, kind in enumerate(part.labels):
            chosen = extent[labels == label]
            counts[kind][name] += len(chosen)
            sides[kind].append(chosen)
    facts = []
    for kind, by_part in counts.items():
        all_sides = np.concatenate(sides[kind])
        median = np.median(all_sides, axis=0).tolist() if len(all_sides) else [None, None]
        facts.append(ClassFacts(kind, by_part, *median))
    return sorted(facts, key=lambda fact: -sum(fact.boxes.values()))


def measure_pixels(
    parts: Sequence[DetectionSet], names: Sequence[str], root: Path, quiet: bool
) -> tuple[CopyFacts, list[str]]:
    """Decode every image to find duplicates, near duplicates and images that cannot be decoded."""
    images = [(place, image) for place, part in enumerate(parts) for image in part.images]
    summaries = summarise_images([ImageFile(image.path, image.apply_orientation) for _, image in images], quiet)
    part_of = [place for place, _ in images]

    def shown(index: int) -> str:
        return f"{names[part_of[index]]}: {name_of(images[index][1].path, root)}"

    exact, near = exact_copies(summaries), near_copies(summaries)
    # splits may share files on purpose, as trainval and train do; a file is no duplicate of itself
    exact = [group for group in exact if len({images[index][1].path for index in group}) > 1]
    across = [len({part_of[index] for index in group}) > 1 for group in exact]
    near_across = [part_of[a] != part_of[b] for a, b in near]
    prefixes = [str(image.path.parent / frame_prefix(image.path.stem)) for _, image in images]
    leaking = Counter(
        os.path.basename(prefixes[a])
        for (a, b), is_across in zip(near, near_across, strict=True)
        if is_across and os.path.basename(prefixes[a]) == os.path.basename(prefixes[b])
    )
    # pairs across splits first, because they distort the score
    ordered = sorted(zip(near_across, near, strict=True), key=lambda entry: not entry[0])
    facts = CopyFacts(
        exact_within=across.count(False),
        exact_across=across.count(True),
        exact_groups=[[shown(index) for index in group] for group in exact[:MAX_LISTED]],
        near_within=near_across.count(False),
        near_across=near_across.count(True),
        near_pairs=[[shown(a), shown(b)] for _, (a, b) in ordered[:MAX_LISTED]],
        leaking_frames=sum(leaking.values()),
        leaking_prefixes=[prefix for prefix, _ in leaking.most_common(20)],
    )
    return facts, [summary.problem for summary in summaries if summary.problem]


def find_suspicions(parts: Sequence[DetectionSet]) -> list[Suspicion]:
    """Suspicious labels in the splits."""
    return suspicions(list(parts))


def as_json(overview: Overview, parts: Sequence[DetectionSet], root: Path) -> dict[str, Any]:
    """JSON values, with the suspicious labels by name."""
    values = dataclasses.asdict(overview)
    counts = Counter(suspicion.kind for suspicion in overview.suspicions)
    listed: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for suspicion in overview.suspicions:
        if len(listed[suspicion.kind]) < MAX_LISTED:
            image = parts[suspicion.part].images[suspicion.image]
            listed[suspicion.kind].append(
                {
                    "part": overview.parts[suspicion.part].name,
                    "image": name_of(image.path, root),
                    "class": parts[suspicion.part].labels[int(image.labels[suspicion.box])],
                    "box_xyxy": image.boxes_xyxy[suspicion.box].tolist(),
                }
            )
    values["suspicions"] = {
        kind: {"meaning": KINDS[kind], "count": counts[kind], "boxes": listed[kind]} for kind in KINDS if counts[kind]
    }
    return values


def _orientation(width: int, height: int) -> str:
    return "square" if width == height else "landscape" if width > height else "portrait"


def _shares(sides: np.ndarray) -> dict[str, float]:
    if not len(sides):
        return {}
    below = {f"below {side}": int((sides < side).sum()) for side in SIDES}
    return {"median": float(np.median(sides)), **below}


def _histogram(values: np.ndarray, edges: Sequence[float]) -> dict[str, int]:
    counts = np.histogram(values, edges)[0].tolist()
    names = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(edges)]
    names[-1] = f"{edges[-2]:g} and more"
    return dict(zip(names, counts, strict=True))
