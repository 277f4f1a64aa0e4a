"""Writes a model card beside its bundle."""

from pathlib import Path

from mobiledet.bundle import SUFFIX, Bundle
from mobiledet.files.atomic import atomic_file
from mobiledet.model_card.card import Card
from mobiledet.model_card.draw import markdown, page


def card_path(bundle: Bundle) -> Path:
    """The default path of the card: NAME.card.md beside NAME.mobiledet."""
    path = bundle.path.resolve()
    name = path.name.removesuffix(".zip").removesuffix(SUFFIX)
    return bundle.path.parent / f"{name}.card.md"


def write_card(card: Card, path: Path) -> tuple[Path, Path]:
    """Write the Markdown and, with the suffix .html, the page, each completely or not at all.

    Returns:
        both paths.

    Raises:
        UserError: one cannot be written.
    """
    written = path, path.with_suffix(".html")
    for target, text in zip(written, (markdown(card), page(card)), strict=True):
        with atomic_file(target) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return written
