"""Draw the pictures of the documentation: python docs/drawing/draw.py [FOLDER], by default docs/images."""

import sys
from pathlib import Path

import architecture
import blocks
import convolutions
import downsampling
import shuffle


def main(folder: Path) -> None:
    """Write every drawing into a folder."""
    for drawing in (architecture, convolutions, shuffle, blocks, downsampling):
        drawing.draw(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "images")
