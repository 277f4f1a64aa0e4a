"""Runs the golden cases of a bundle's files on this processor; also a program for the emulator.

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
    """The outputs of a model file.

    Attributes:
        file: path of the file in the bundle.
        accelerator: the accelerator that ran it; empty if it could not be run.
        cases: detections in each golden case, boxes as fractions of the model's input.
        problem: why it could not be run; empty if it was.
    """

    file: str
    accelerator: str
    cases: tuple[Detections, ...]
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """JSON values from which exactly the same numbers can be read."""
        cases = [
            {"boxes": each.boxes_xyxy.tolist(), "scores": each.scores.tolist(), "labels": each.labels.tolist()}
            for each in self.cases
        ]
        return {"file": self.file, "accelerator": self.accelerator, "cases": cases, "problem": self.problem}

    @classmethod
    def from_json(cls, values: Any, class_count: int) -> "Replay":
        """Read the values that ``to_json`` returned.

        Raises:
            ValueError: it is something else.
        """
        try:
            cases = tuple(Detections.from_json(**case, class_count=class_count) for case in values["cases"])
            return cls(str(values["file"]), str(values["accelerator"]), cases, str(values["problem"]))
        except (TypeError, LookupError) as error:
            raise ValueError(f"it is not a replay: {error}") from error


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
