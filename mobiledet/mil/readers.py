"""The parts of coremltools that read packages, which load in a moment."""

import importlib.util
import sys
from functools import cache
from typing import Any, NamedTuple

from mobiledet.errors import UserError


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
