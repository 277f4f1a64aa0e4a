"""The cache folder, for files that can be made or downloaded again."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """``$MOBILEDET_CACHE`` if it is set, otherwise ``mobiledet`` in the user's cache folder."""
    given = os.environ.get("MOBILEDET_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mobiledet"
