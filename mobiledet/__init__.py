"""mobiledet: object detectors for phones, from COCO to a measured bundle."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mobiledet.api import (
        Detector,
        Found,
        UserError,
        card,
        compare,
        evaluate,
        export,
        list_backbones,
        list_detectors,
        train,
    )

__version__ = "0.2.0"
__all__ = [
    "Detector",
    "Found",
    "UserError",
    "__version__",
    "card",
    "compare",
    "evaluate",
    "export",
    "list_backbones",
    "list_detectors",
    "train",
]


def __getattr__(name: str) -> Any:
    """Look up a public name in ``mobiledet.api``, which is imported at the first access."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mobiledet import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
