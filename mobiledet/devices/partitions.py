"""How LiteRT divides a file between XNNPACK and its own kernels, asked of the runtime itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from mobiledet.errors import UserError


@dataclass(frozen=True)
class Partitions:
    """The division.

    Attributes:
        delegated: indices of the operations of each part that XNNPACK runs, in the order of execution.
        left: indices of those that LiteRT's own kernels run.
    """

    delegated: tuple[tuple[int, ...], ...]
    left: tuple[int, ...]

    @property
    def delegated_share(self) -> float:
        """Part of the operations that XNNPACK runs, 0..1."""
        delegated = sum(map(len, self.delegated))
        return delegated / (delegated + len(self.left)) if delegated else 0.0


def divide(path: Path) -> Partitions:
    """Load a file as an app does.

    Raises:
        UserError: LiteRT refuses it.
    """
    try:
        interpreter = Interpreter(model_path=str(path), num_threads=1)
        interpreter.allocate_tensors()
        operations = interpreter._get_ops_details()
    except Exception as error:  # see LiteRtDetector
        raise UserError(f"LiteRT cannot load {path}: {' '.join(str(error).split())}") from error
    return from_details(operations)


def from_details(operations: Sequence[dict[str, Any]]) -> Partitions:
    """The division by what the interpreter tells of its operations.

    It appends a DELEGATE operation for each part that it handed over and keeps the originals listed: those between the
    inputs and the outputs of a DELEGATE are its part.
    """
    originals = [operation for operation in operations if operation["op_name"] != "DELEGATE"]
    producers = {tensor: operation for operation in originals for tensor in operation["outputs"]}
    parts: list[tuple[int, ...]] = []
    taken: set[int] = set()
    for delegate in (operation for operation in operations if operation["op_name"] == "DELEGATE"):
        inputs, waiting, part = set(delegate["inputs"]), list(delegate["outputs"]), set()
        while waiting:
            producer = producers.get(tensor := waiting.pop())
            if tensor not in inputs and producer and producer["index"] not in taken:
                taken.add(producer["index"])
                part.add(producer["index"])
                waiting.extend(producer["inputs"])
        parts.append(tuple(sorted(part)))
    left = tuple(operation["index"] for operation in originals if operation["index"] not in taken)
    return Partitions(tuple(sorted(parts)), left)
