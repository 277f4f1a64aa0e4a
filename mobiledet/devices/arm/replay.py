"""What a bundle's files give for its golden cases on this processor: here, and as a program in an emulator.

python -m mobiledet.devices.arm.replay BUNDLE FILE...    prints a JSON object for each file
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobiledet.bundle import Bundle, open_bundle
from mobiledet.detections import Detections
from mobiledet.devices.local import LocalDevice
from mobiledet.errors import UserError


@dataclass(frozen=True)
class Replay:
    """What a model file gives.

    Attributes:
        file: its path in the bundle.
        accelerator: what ran it; empty where nothing could.
        cases: what it found in each golden case, boxes as fractions of the model's input.
        problem: why it could not be run; empty where it was.
    """

    file: str
    accelerator: str
    cases: tuple[Detections, ...]
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON values that give the same numbers back."""
        cases = [
            {"boxes": each.boxes_xyxy.tolist(), "scores": each.scores.tolist(), "labels": each.labels.tolist()}
            for each in self.cases
        ]
        return {"file": self.file, "accelerator": self.accelerator, "cases": cases, "problem": self.problem}

    @classmethod
    def from_json(cls, values: Any, class_count: int) -> "Replay":
        """Read what ``to_json`` gave.

        Raises:
            ValueError: it is something else.
        """
        try:
            cases = tuple(Detections.from_json(**case, class_count=class_count) for case in values["cases"])
            return cls(str(values["file"]), str(values["accelerator"]), cases, str(values["problem"]))
        except (TypeError, LookupError) as error:
            raise ValueError(f"it is no replay: {error}") from error


def replay(bundle: Bundle, paths: Sequence[str]) -> Iterator[Replay]:
    """Run the golden cases of model files, one after the other, on one thread."""
    for path in paths:
        try:
            file = bundle.select(path)
            session = LocalDevice().load(bundle, file, threads=1)
            yield Replay(path, session.execution.actual, tuple(map(session.replay, bundle.golden(file))))
        except UserError as error:
            yield Replay(path, "", (), str(error))


if __name__ == "__main__":
    for each in replay(open_bundle(Path(sys.argv[1])), sys.argv[2:]):
        print(json.dumps(each.to_json()), flush=True)
