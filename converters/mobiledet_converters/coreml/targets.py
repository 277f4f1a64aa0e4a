"""The iOS versions that packages need. Imports nothing heavy, so that options are checked before any work."""

from collections.abc import Iterable

from mobiledet.errors import UserError

# major version of iOS -> specification version of its Core ML
SPECIFICATION_VERSIONS = {15: 6, 16: 7, 17: 8, 18: 9, 26: 10}
# precision -> the oldest iOS with the operations that it needs: 8-bit constants, palettes, 8-bit arithmetic
OLDEST_IOS = {"float32": 15, "float16": 15, "int8": 16, "palette6": 16, "w8a8": 17}


def check_target(ios: int, precisions: Iterable[str]) -> None:
    """Check that an iOS version supports all precisions.

    Raises:
        UserError: it does not support one of them, or the version is unknown.
    """
    if ios not in SPECIFICATION_VERSIONS:
        known = ", ".join(map(str, SPECIFICATION_VERSIONS))
        raise UserError(f"--ios {ios} is not supported; give one of {known}")
    for precision in precisions:
        if ios < OLDEST_IOS[precision]:
            raise UserError(
                f"Core ML packages of precision {precision} need iOS {OLDEST_IOS[precision]}, --ios is {ios}; "
                "raise it or leave the precision out"
            )
