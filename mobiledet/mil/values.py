"""Decodes types and constants of a program's protobuf message, and the weight files beside it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from mobiledet.errors import UserError
from mobiledet.mil.dtypes import FORMATS, sign_extend, to_tensor, unpack_bits
from mobiledet.mil.readers import load_readers

MODEL_PATH = "@model_path/"  # prefix for the folder of the protobuf file

Constant = Tensor | str | dict[str, Any] | list[Any]


def type_name(tensor_type: Any) -> str:
    """Name of the MIL DataType of a TensorType message."""
    return str(load_readers().mil.DataType.Name(tensor_type.dataType))


def declared_shape(tensor_type: Any) -> tuple[int | None, ...] | None:
    """Shape of a TensorType message; None for a dimension that is known only at run time, or for an unknown rank."""
    if tensor_type.rank < 0:
        return None
    return tuple(
        side.constant.size if side.WhichOneof("dimension") == "constant" else None for side in tensor_type.dimensions
    )


class Constants:
    """Decodes constants; opens each file of weights once.

    Args:
        folder: folder of the protobuf file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._readers: dict[Path, Any] = {}

    def decode(self, value: Any) -> Constant:
        """Decode a Value message: a tensor, a string, or a list or dictionary of these.

        Raises:
            UserError: the value is of an unknown kind, damaged, or outside the package.
        """
        kind = value.type.WhichOneof("type")
        if kind == "listType":
            return [self.decode(entry) for entry in value.immediateValue.list.values]
        if kind == "dictionaryType":
            entries = value.immediateValue.dictionary.values
            return {str(self.decode(entry.key)): self.decode(entry.value) for entry in entries}
        if kind != "tensorType":
            raise UserError(f"a constant of the kind {kind} is unknown to the interpreter")
        tensor_type = value.type.tensorType
        name, shape = type_name(tensor_type), declared_shape(tensor_type)
        if name == "STRING":
            return "".join(value.immediateValue.tensor.strings.values)
        if name not in FORMATS or shape is None or None in shape:
            raise UserError(f"a constant of type {name} and shape {shape} is unknown to the interpreter")
        sides = [side for side in shape if side is not None]
        if value.WhichOneof("value") == "blobFileValue":
            values = self._from_file(value.blobFileValue, name)
        else:
            values = _immediate(value.immediateValue.tensor, name, math.prod(sides))
        if values.size != math.prod(sides):
            raise UserError(f"a constant has {values.size} values where {tuple(sides)} is declared")
        return to_tensor(values.reshape(sides), name)

    def _from_file(self, blob: Any, name: str) -> np.ndarray:
        path = (self._folder / blob.fileName.removeprefix(MODEL_PATH)).resolve()
        if not path.is_relative_to(self._folder) or not path.is_file():
            raise UserError(f"the weights {blob.fileName} are not in the package")
        if path not in self._readers:
            self._readers[path] = load_readers().weights(str(path))
        # such as read_fp16_data, which returns the bits as uint16, and read_uint6_data, which unpacks
        kind = {"FLOAT16": "fp16", "FLOAT32": "float", "BOOL": "uint8"}.get(name, name.lower())
        try:
            values = np.array(getattr(self._readers[path], f"read_{kind}_data")(blob.offset))
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise UserError(f"the weights at {blob.offset} of {path.name} cannot be read as {name}") from error
        return values.view(np.float16) if name == "FLOAT16" else values


def _immediate(tensor: Any, name: str, count: int) -> np.ndarray:
    """Values that are stored in the message itself."""
    field = tensor.WhichOneof("value")
    if field is None:  # protobuf omits empty lists
        return np.zeros(0, FORMATS[name].numpy)
    values = getattr(tensor, field).values
    if field != "bytes":
        return np.array(values, FORMATS[name].numpy)
    bits = FORMATS[name].bits
    if bits >= 8:
        return np.frombuffer(values, FORMATS[name].numpy)
    unpacked = unpack_bits(np.frombuffer(values, np.uint8), bits, count)
    return sign_extend(unpacked, bits) if name.startswith("INT") else unpacked
