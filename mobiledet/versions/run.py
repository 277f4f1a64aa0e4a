"""The command ``mobiledet compare``: compares two versions on the same images."""

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console

from mobiledet.bundle import Bundle, open_bundle
from mobiledet.data.dataset import DetectionSet, some
from mobiledet.errors import UserError
from mobiledet.evaluation.config import ScoredImages
from mobiledet.evaluation.images import check_images, load_images
from mobiledet.files.atomic import atomic_file
from mobiledet.keywords import narrowed
from mobiledet.metrics.matches import Matches
from mobiledet.metrics.resampled import average_precision, mean_average_precision
from mobiledet.metrics.scoring import require_boxes
from mobiledet.versions.config import EXIT_WORSE, CompareConfig
from mobiledet.versions.difference import MIN_IMAGES, ROUNDING, match_version, score_change
from mobiledet.versions.latency_ratio import latency_ratio, why_apart
from mobiledet.versions.outcome import Outcome, beyond_limits
from mobiledet.versions.page import render
from mobiledet.versions.text import markdown, print_outcome
from mobiledet.versions.turned import count_errors
from mobiledet.versions.version import (
    Version,
    exif_of,
    images_options,
    is_bundle,
    read_version,
    run_bundle,
    scored_images,
)

SAME_SCORE = 1e-6  # tolerance between the mAP in a result and that of its detections
FEW_RUNS = 30  # independent runs below which the interval of a median is unreliable


def run(config: CompareConfig) -> int:
    """The command ``mobiledet compare``."""
    outcome = compare(config)
    write(outcome, config)
    if config.markdown == "-":
        print(markdown(outcome), end="")
    else:
        print_outcome(outcome, Console())
        for name, path in (("markdown", config.markdown), ("page", config.html), ("json", config.json)):
            if path:
                print(f"{name}: {path}")
    return EXIT_WORSE if outcome.worse else 0


def write(outcome: Outcome, config: CompareConfig) -> None:
    """Write the requested files, each completely or not at all.

    Raises:
        UserError: a file cannot be written, or an image for the page cannot be read.
    """
    if config.html:
        _write(config.html, render(outcome, config.show))
    if config.json:
        _write(config.json, json.dumps(outcome.to_json(), indent=1, allow_nan=False) + "\n")
    if config.markdown not in ("", "-"):
        _write(Path(config.markdown), markdown(outcome))


def compare(config: CompareConfig, quiet: bool = False) -> Outcome:
    """Compare two versions, without printing or writing the outcome.

    Args:
        config: options of the command.
        quiet: show no progress.

    Raises:
        UserError: options contradict each other, an input cannot be used, or the versions were not run on the same
            images.
    """
    _check(config)
    given = {path: open_bundle(path) if is_bundle(path) else read_version(path) for path in (config.old, config.new)}
    _check_classes(*((path, _labels(given[path])) for path in (config.old, config.new)))
    known = [each for each in given.values() if isinstance(each, Version)]
    options, dataset = _options(config, known), None
    if known:  # check this before a bundle is run for minutes
        dataset = _load(config, options, known)
    config = dataclasses.replace(config, **{f.name: getattr(options, f.name) for f in dataclasses.fields(ScoredImages)})
    wants_latency = config.latency and all(version.result and version.result.latency for version in known)
    old, new = (
        each if isinstance(each, Version) else run_bundle(each, config, file, wants_latency, quiet)
        for each, file in (
            (given[config.old], config.old_file or config.file),
            (given[config.new], config.file),
        )
    )
    return _compared(config, old, new, _same_images(old, new, dataset or load_images(options, exif_of(old))))


def _labels(given: Version | Bundle) -> tuple[str, ...]:
    return given.spec.labels if isinstance(given, Bundle) else given.labels


def _check_classes(old: tuple[Path, tuple[str, ...]], new: tuple[Path, tuple[str, ...]]) -> None:
    """Raise ``UserError`` if the versions have different classes; the order may differ."""
    odd = sorted(set(old[1]) ^ set(new[1]))
    if odd:
        raise UserError(
            f"{old[0]} and {new[0]} have different classes ({some(odd)}), so their mAP cannot be compared; give "
            "versions with the same classes"
        )


def _load(config: CompareConfig, options: ScoredImages, known: list[Version]) -> DetectionSet:
    """Load the images, and check that the known versions were scored on them."""
    try:
        dataset = load_images(options, exif_of(known[0]))
    except UserError as error:
        if config.data is not None or config.images is not None:
            raise
        raise UserError(f"{error}; a result names these images: if they were moved, give --data") from error
    require_boxes(dataset, "compare results of other images")
    for version in known:
        scored_images(version, dataset)
    return dataset


def _compared(config: CompareConfig, old: Version, new: Version, dataset: DetectionSet) -> Outcome:
    before, after = match_version(old, dataset), match_version(new, dataset)
    for version, matches in ((old, before), (new, after)):
        _check_score(version, matches)
    scores = score_change(before, after)
    if config.max_drop is not None and scores.map.low is None:
        raise UserError(f"--max-drop needs {MIN_IMAGES} images with objects; {dataset.annotations} has fewer")
    no_latency = why_apart(old.result, new.result)
    if no_latency and config.max_slower is not None:
        raise UserError(f"--max-slower needs latencies that can be compared, but these were {no_latency}")
    latency = None
    if not no_latency:
        assert old.result
        assert old.result.latency
        assert new.result
        assert new.result.latency
        latency = latency_ratio(old.result.latency, new.result.latency)
    by_id = {image.id: image for image in dataset.images}
    outcome = Outcome(
        old=old,
        new=new,
        dataset=dataset,
        images=tuple(by_id[image_id] for image_id in before.image_ids),
        scores=scores,
        old_errors=count_errors(before, config.score),
        new_errors=count_errors(after, config.score),
        latency=latency,
        no_latency=no_latency,
        worse=tuple(beyond_limits(config, scores, latency)),
    )
    return dataclasses.replace(outcome, notes=tuple(_notes(outcome)))


def _check(config: CompareConfig) -> None:
    if config.data is not None or config.images is not None or config.annotations is not None:
        check_images(config)
    for name, least in (("max_drop", 0.0), ("max_slower", 1.0)):
        limit = getattr(config, name)
        if limit is not None and not (math.isfinite(limit) and limit >= least):
            raise UserError(f"--{name.replace('_', '-')} {limit:g} is not at least {least:g}")
    if config.score is not None and not 0 <= config.score <= 1:
        raise UserError(f"--score {config.score:g} is not in 0..1")
    if config.show < 0:
        raise UserError(f"--show {config.show} is not at least 0")
    for path in (config.html, config.json, Path(config.markdown) if config.markdown not in ("", "-") else None):
        if path and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise UserError(f"cannot write {path}: give the name of a file in a folder that exists")


def _options(config: CompareConfig, known: list[Version]) -> ScoredImages:
    """The options by which the images are read: the given ones, else those that a result has recorded."""
    if config.data is not None or config.images is not None:
        return narrowed(config, ScoredImages)
    for version in known:
        options = images_options(config, version)
        if options:
            return options
    raise UserError(
        f"neither {config.old} nor {config.new} records which images to use; give --data, or --images with "
        "--annotations"
    )


def _same_images(old: Version, new: Version, dataset: DetectionSet) -> DetectionSet:
    """The images that both versions were scored on.

    Raises:
        UserError: they were scored on different images.
    """
    sets = [scored_images(version, dataset) for version in (old, new)]
    ours, theirs = ({image.id for image in part.images} for part in sets)
    if ours != theirs:
        common = len(ours & theirs)
        raise UserError(
            f"{old.path} was scored on {len(ours)} images and {new.path} on {len(theirs)}, {common or 'none'} of them "
            "the same; evaluate both on the same images"
        )
    return sets[0]


def _check_score(version: Version, matches: Matches) -> None:
    """Check the detections against the mAP that a result records.

    Raises:
        UserError: they give another mAP.
    """
    if version.result and version.result.accuracy:
        recorded, ap = version.result.accuracy.metrics.AP, float(mean_average_precision(average_precision(matches))[0])
        if not math.isclose(recorded, ap, abs_tol=SAME_SCORE):
            raise UserError(
                f"{version.path} records mAP {recorded:.4f}, but its detections give {ap:.4f}: a file was changed; "
                "evaluate again"
            )


def _notes(outcome: Outcome) -> Iterator[str]:
    """Remarks for the reader."""
    scores, latency = outcome.scores, outcome.latency
    if scores.map.low is None or scores.map.high is None:
        yield f"fewer than {MIN_IMAGES} images have objects: too few for an interval"
    elif scores.chance is not None and scores.map.high - scores.map.low > ROUNDING:
        yield (
            "versions that are swapped at random, image by image, differ as much in that direction in "
            f"{scores.chance:.1%} of the draws"
        )
        yield (
            f"changes in mAP of about {(scores.map.high - scores.map.low) / 2:.4f} or more are significant on these "
            "images; smaller ones need more images"
        )
    results = [version.result for version in (outcome.old, outcome.new)]
    for title, values in (
        ("accuracy was measured in different modes", [r.accuracy.mode if r and r.accuracy else None for r in results]),
        (
            "images were cut into different tiles",
            [str(r.accuracy.tiles) if r and r.accuracy else None for r in results],
        ),
        ("versions of the runtime differ", [r.device.runtime_version if r else None for r in results]),
        ("systems differ", [r.device.os if r else None for r in results]),
    ):
        if None not in values and len(set(values)) > 1:
            yield f"{title}: {values[0]} and {values[1]}"
    for name, version in (("old", outcome.old), ("new", outcome.new)):
        accuracy = version.result.accuracy if version.result else None
        if accuracy and accuracy.skipped:
            yield f"{name}: {len(accuracy.skipped)} left out of the score ({accuracy.skipped_by_reason})"
    if outcome.dataset.left_out:
        yield f"{len(outcome.dataset.left_out)} entries of {outcome.dataset.annotations} are invalid and left out"
    if latency:
        yield (
            "the interval of the latency covers only these two measurements, not changes from one measurement to the "
            "next (heat, other programs)"
        )
        if min(latency.old_independent, latency.new_independent) < FEW_RUNS:
            yield (
                f"successive runs are so correlated that {latency.old_runs} and {latency.new_runs} of them are "
                f"worth only {latency.old_independent:.0f} and {latency.new_independent:.0f} independent ones; "
                "measure longer (--min-seconds)"
            )
    unused = np.isinf(outcome.old_errors.threshold)
    if unused.any():
        names = [label for label, is_unused in zip(outcome.old.labels, unused, strict=True) if is_unused]
        yield f"classes without objects or detections here, which do not count for right images: {some(names)}"


def _write(path: Path, text: str) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
