"""Loads only the parts of coremltools that read packages, which is fast."""

import importlib.util
import sys
from functools import cache
from typing import Any, NamedTuple

from mobiledet.errors import UserError


class PackageReaders(NamedTuple):
    """The parts of coremltools that read packages.

    Attributes:
        model, mil: modules with the protobuf classes for models and programs.
        package: class that opens a package by its path.
        weights: class that reads a file of weights by its path.
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
    if spec is not None:  # an empty module in its place allows its submodules to be imported
        sys.modules["coremltools"] = importlib.util.module_from_spec(spec)
    try:
        from coremltools.libmilstoragepython import _BlobStorageReader
        from coremltools.libmodelpackage import ModelPackage
        from coremltools.proto import MIL_pb2, Model_pb2
    except ModuleNotFoundError as error:
        raise UserError(
            "Core ML packages need coremltools, which is not installed: pip install 'mobiledet[coreml]'"
        ) from error
    finally:
        if spec is not None:
            del sys.modules["coremltools"]
    return PackageReaders(Model_pb2, MIL_pb2, ModelPackage, _BlobStorageReader)
