"""The one place where the whole of coremltools is imported, to convert; `mobiledet.mil` takes what reads packages."""

import sys
from types import ModuleType
from typing import Any

# Frameworks that coremltools loads if it finds them and that nothing here needs.
UNWANTED = ("tensorflow", "sklearn", "xgboost", "libsvm")


def load_coremltools() -> ModuleType:
    """Import coremltools without the frameworks that it would draw in, TensorFlow above all, with which it crashes."""
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
        _mend_cast()
    return sys.modules["coremltools"]


def _mend_cast() -> None:
    """Let traced networks read sizes: coremltools 9 calls ``int`` on arrays of one element, which NumPy 2.4 refuses.

    Every ``x.shape[i]`` of a traced network comes to that, those of a channel shuffle and of a head above all.
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
