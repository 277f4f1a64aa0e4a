"""The command line of the peers of ``real_data.py``; it imports only the standard library, as one peer has no more."""

import argparse
from pathlib import Path


def peer_arguments(description: str | None, first: tuple[str, ...] = ()) -> argparse.Namespace:
    """Parse the command line of a peer's script.

    Args:
        description: for --help.
        first: positional arguments before data and folder.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in first:
        parser.add_argument(name)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--export-only", action="store_true")
    for name in ("--epochs", "--batch-size", "--side", "--seed"):
        parser.add_argument(name, type=int, required=True)
    return parser.parse_args()
