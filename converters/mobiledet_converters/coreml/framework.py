"""The one place where coremltools is imported: the whole of it to convert, or what reads packages alone."""

import importlib.util
import sys
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

from mobiledet.errors import UserError

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


class PackageReaders(NamedTuple):
    """The parts of coremltools that read packages.

    Attributes:
        model, mil: modules of protobuf's classes for models and programs.
        package: called with a package's path, finds the files in it.
        weights: called with a file's path, reads the numbers in it.
    """

    model: Any
    mil: Any
    package: Any
    weights: Any


@cache
def load_readers() -> PackageReaders:
    """Import these parts without the converters around them, which take several seconds to load.

    Raises:
        UserError: coremltools is not installed.
    """
    spec = importlib.util.find_spec("coremltools") if "coremltools" not in sys.modules else None
    if spec is not None:  # an empty module in its place lets what lies in it be imported
        sys.modules["coremltools"] = importlib.util.module_from_spec(spec)
    try:
        from coremltools.libmilstoragepython import _BlobStorageReader
        from coremltools.libmodelpackage import ModelPackage
        from coremltools.proto import MIL_pb2, Model_pb2
    except ModuleNotFoundError as error:
        raise UserError("Core ML packages need coremltools, not installed: pip install 'mobiledet[coreml]'") from error
    finally:
        if spec is not None:
            del sys.modules["coremltools"]
    return PackageReaders(Model_pb2, MIL_pb2, ModelPackage, _BlobStorageReader)
