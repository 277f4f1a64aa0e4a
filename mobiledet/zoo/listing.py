"""The command ``mobiledet zoo``: lists published detectors with size, cost and published figures."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from string import ascii_lowercase

from mobiledet.zoo.config import ZooConfig


@dataclass(frozen=True)
class ZooRecord:
    """A line of the list.

    Attributes:
        name: name for `mobiledet import` and `mobiledet predict`.
        parameters: parameters of the network for COCO's 80 classes, including logits without a class.
        macs: multiply-adds for an image of its size.
        image_size: height and width in pixels.
        published_map: COCO box mAP in percent, as its source reports it.
        published_split: images on which it was measured.
        licence: licence of the weights.
        source: publisher of the weights.
        url: address of the weights.
        sha256: start of the published file's SHA-256; empty if its source publishes none.
    """

    name: str
    parameters: int
    macs: int
    image_size: tuple[int, int]
    published_map: float
    published_split: str
    licence: str
    source: str
    url: str
    sha256: str


def run(config: ZooConfig) -> None:
    """Print the list."""
    records = list(zoo_records())
    if config.json:
        print(json.dumps([asdict(record) for record in records], indent=2))
    else:
        _print_table(records)


def zoo_records() -> Iterator[ZooRecord]:
    """The records of all published detectors; their networks are counted without running them."""
    from mobiledet.zoo.catalogue import ZOO
    from mobiledet.zoo.networks import count_network

    for name, entry in ZOO.items():
        yield ZooRecord(
            name,
            *count_network(entry),
            (entry.side, entry.side),
            entry.published_map,
            entry.published_split,
            entry.licence,
            entry.source,
            entry.url,
            entry.sha256,
        )


def _print_table(records: list[ZooRecord]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    for title in ("params M", "MAdds M", "input", "mAP"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    sources = list(dict.fromkeys(map(_source, records)))
    for record in records:
        table.add_row(
            record.name,
            f"{record.parameters / 1e6:.2f}",
            f"{record.macs / 1e6:.0f}",
            " x ".join(map(str, record.image_size)),
            f"{record.published_map:.1f}",
            ascii_lowercase[sources.index(_source(record))],
        )
    console.print(table)
    for letter, text in zip(ascii_lowercase, sources, strict=False):
        console.print(f"{letter}: {text}", highlight=False, markup=False)
    print("mAP as published, in percent; not measured by mobiledet")
    print("`mobiledet zoo --json` shows the addresses; `mobiledet import NAME --out FILE` writes a checkpoint")


def _source(record: ZooRecord) -> str:
    return f"from {record.source}, licence {record.licence}; mAP on {record.published_split}"
