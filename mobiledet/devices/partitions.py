"""The partitions of a file between XNNPACK and LiteRT's own kernels, as reported by the runtime."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from mobiledet.errors import UserError


@dataclass(frozen=True)
class Partitions:
    """The partitions of a file.

    Attributes:
        delegated: indices of the operations in each partition that XNNPACK runs, in the order of execution.
        left: indices of the operations that LiteRT's own kernels run.
    """

    delegated: tuple[tuple[int, ...], ...]
    left: tuple[int, ...]

    @property
    def delegated_share(self) -> float:
        """Fraction of the operations that XNNPACK runs, 0..1."""
        delegated = sum(map(len, self.delegated))
        return delegated / (delegated + len(self.left)) if delegated else 0.0


def divide(path: Path) -> Partitions:
    """Load a file as an app does, and read its partitions.

    Raises:
        UserError: LiteRT cannot load the file.
    """
    try:
        interpreter = Interpreter(model_path=str(path), num_threads=1)
        interpreter.allocate_tensors()
        operations = interpreter._get_ops_details()
    except Exception as error:  # see LiteRtDetector
        raise UserError(f"LiteRT cannot load {path}: {' '.join(str(error).split())}") from error
    return from_details(operations)


def from_details(operations: Sequence[dict[str, Any]]) -> Partitions:
    """The partitions, from the interpreter's list of operations.

    The interpreter appends a DELEGATE operation for each partition and keeps the original operations in its list: those
    between the inputs and the outputs of a DELEGATE are its partition.
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
