"""The only place that imports all of coremltools, to convert; `mobiledet.mil` imports only what reads packages."""

import sys
from types import ModuleType
from typing import Any

# Frameworks that coremltools loads if they are installed, and that are not needed here.
UNWANTED = ("tensorflow", "sklearn", "xgboost", "libsvm")


def load_coremltools() -> ModuleType:
    """Import coremltools without the frameworks that it would load, above all TensorFlow, with which it crashes."""
    import torch  # noqa: F401
    import torchvision  # noqa: F401  before coremltools, which crashes if it is the first to load torch

    if "coremltools" not in sys.modules:
        absent = [name for name in UNWANTED if name not in sys.modules]
        sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None makes the import fail at once
        try:
            import coremltools  # noqa: F401
        finally:
            for name in absent:
                del sys.modules[name]
        _patch_cast()
        _patch_validation()
    return sys.modules["coremltools"]


def _patch_cast() -> None:
    """Patch coremltools 9, which calls ``int`` on arrays of one element; NumPy 2.4 refuses this.

    Every ``x.shape[i]`` of a traced network is affected, such as those of a channel shuffle and of a head.
    """
    import numpy as np
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.frontend.torch import ops

    original = ops._cast

    def cast(context: Any, node: Any, dtype: Any, dtype_name: str) -> None:
        (value,) = ops._get_inputs(context, node, expected=1)
        if value.can_be_folded_to_const() and isinstance(value.val, np.ndarray) and value.val.size == 1:
            context.add(mb.const(val=dtype(value.val.item()), name=node.name), node.name)
        else:
            original(context, node, dtype, dtype_name)

    ops._cast = cast


def _patch_validation() -> None:
    """Patch coremltools, which checks the whole program after each of a hundred passes, for the sake of their authors.

    The checks of the program that comes from PyTorch and of the one that is written stay.
    """
    from coremltools.converters.mil.mil.program import Program

    original = Program.validate

    def validate(self: Program, check_essential_scope: bool | None = False) -> None:
        if check_essential_scope:  # not between two passes
            original(self, check_essential_scope)

    Program.validate = validate
