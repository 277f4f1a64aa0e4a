"""``mobiledet data``: reads every split, measures it, gives advice and writes the page."""

import json
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mobiledet.data.dataset import DetectionSet
from mobiledet.data.read import Source, find_source, load_split
from mobiledet.data.summary import SIDES
from mobiledet.errors import UserError
from mobiledet.files.atomic import atomic_file
from mobiledet.overview.advice import advise
from mobiledet.overview.anchors import fit_of_anchors
from mobiledet.overview.config import DataConfig
from mobiledet.overview.measure import (
    CopyFacts,
    Overview,
    as_json,
    class_facts,
    find_suspicions,
    measure_pixels,
    part_facts,
)
from mobiledet.overview.page import render
from mobiledet.overview.parts import parts_to_show
from mobiledet.spec import InputSpec, image_sides


def run(config: DataConfig) -> None:
    """The command ``mobiledet data``."""
    source = find_source(config.data, config)
    try:
        size = InputSpec(*image_sides(config.image_size), **config.input_rule())
    except ValueError as error:
        raise UserError(f"--image-size {config.image_size}: {error}") from error
    roles, has_validation = parts_to_show(source, config)
    parts = [load_split(config.data, role, config.on_bad_data, config, config.exif) for role in roles]
    overview = measure(source, parts, has_validation, config, size)
    out = config.out or Path(f"{source.name}.data.html")
    with atomic_file(out) as temporary:
        temporary.write_text(render(overview, parts), encoding="utf-8", errors="replace")
    if config.json:
        print(json.dumps(as_json(overview, parts, source.folder), indent=1))
    else:
        _print(overview, out)


def measure(
    source: Source, parts: list[DetectionSet], has_validation: bool, config: DataConfig, size: InputSpec
) -> Overview:
    """Compute all facts for the page; sizes of boxes are in pixels of the input ``size``."""
    names = [part.name.removeprefix(f"{source.name}-") for part in parts]
    facts = [
        part_facts(part, name, size, fit_of_anchors(part, config.detector, config.backbone, size))
        for part, name in zip(parts, names, strict=True)
    ]
    copies, undecodable = CopyFacts(), list[str]()
    if config.pixels:
        copies, undecodable = measure_pixels(parts, names, source.folder, quiet=False)
    found = find_suspicions(parts)
    return Overview(
        name=source.name,
        format=source.format,
        detector=config.detector,
        height=size.height,
        width=size.width,
        resize=size.resize,
        parts=facts,
        classes=class_facts(parts, names, size),
        copies=copies,
        undecodable=undecodable,
        suspicions=found,
        advice=advise(parts, facts, copies, undecodable, config.detector, size, has_validation, len(found)),
    )


def _print(overview: Overview, out: Path) -> None:
    console = Console()
    below = [f"< {side} px" for side in SIDES]
    table = Table("split", "images", "empty", "boxes", "crowds", *below, "left out", title=escape(overview.name))
    for part in overview.parts:
        small = [f"{part.shorter_sides.get(f'below {side}', 0):,.0f}" for side in SIDES]
        counts = (part.images, part.empty_images, part.boxes, part.crowds)
        table.add_row(escape(part.name), *(f"{count:,}" for count in counts), *small, f"{part.left_out:,}")
    console.print(table)
    classes = Table("class", *(escape(part.name) for part in overview.parts))
    for fact in overview.classes[:20]:
        classes.add_row(escape(fact.name), *(f"{count:,}" for count in fact.boxes.values()))
    console.print(classes)
    if len(overview.classes) > 20:
        console.print(f"and {len(overview.classes) - 20} more classes", highlight=False)
    for note in dict.fromkeys(note for part in overview.parts for note in part.notes):
        console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)
    for line in overview.advice:
        console.print(f"- {line}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"page: {out}", highlight=False, markup=False, soft_wrap=True)
