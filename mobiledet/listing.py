"""``mobiledet list``: every backbone with its size, its cost and its published accuracy."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

INPUT_SIDE = 224  # pixels, as in the published figures


@dataclass(frozen=True)
class ListConfig:
    """List the backbones: parameters and multiply-adds as an ImageNet classifier, and published accuracy."""

    json: bool = False
    """Print JSON instead of a table."""


@dataclass(frozen=True)
class BackboneRecord:
    """One backbone in the list.

    Attributes:
        key: its name for ``--backbone``.
        parameters: number of parameters of the classifier with 1000 classes.
        macs: multiply-adds of the classifier for a 224 x 224 image.
        published_top1: ImageNet accuracy in percent at 224 x 224; None if paper and authors give none.
        imagenet_weights: the library that ``--pretrained imagenet`` takes weights from; None if there are none.
    """

    key: str
    parameters: int
    macs: int
    published_top1: float | None
    imagenet_weights: str | None


def run(config: ListConfig) -> None:
    """Print the list."""
    records = list(backbone_records())
    if config.json:
        print(json.dumps([asdict(record) for record in records], indent=2))
    else:
        _print_table(records)


def backbone_records() -> Iterator[BackboneRecord]:
    """Records of all backbones; no network is run."""
    import torch
    from torch import nn

    from mobiledet.backbones import BACKBONES, build_classifier
    from mobiledet.backbones.pretrained import SOURCES
    from mobiledet.complexity import count_macs, count_parameters

    for key in BACKBONES:
        with torch.device("meta"):
            model = build_classifier(key)
            # normalisation layers are not counted but would take most of the time
            bare = build_classifier(key, norm_layer=nn.Identity)
        published = model.backbone.published
        yield BackboneRecord(
            key,
            count_parameters(model),
            count_macs(bare, INPUT_SIDE, INPUT_SIDE),
            published.top1 if published else None,
            SOURCES[key].library if key in SOURCES else None,
        )


def _print_table(records: list[BackboneRecord]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(caption="also torchvision:NAME for comparison, such as torchvision:resnet50")
    table.add_column("backbone", no_wrap=True)
    for title in ("params M", "MAdds M", "top-1 %"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("ImageNet weights")
    for record in records:
        table.add_row(
            record.key,
            f"{record.parameters / 1e6:.2f}",
            f"{record.macs / 1e6:.0f}",
            "-" if record.published_top1 is None else f"{record.published_top1:.1f}",
            record.imagenet_weights or "-",
        )
    Console().print(table)
