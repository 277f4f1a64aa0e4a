"""What has become of each step of a sweep: a JSON file that is written anew after each of them."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mobiledet.errors import UserError
from mobiledet.files.atomic import atomic_file
from mobiledet.files.checksums import SUMS
from mobiledet.records import RECORD_BYTES, decode
from mobiledet.spec import read_json
from mobiledet.sweep.plan import Step

KIND = "mobiledet sweep"


@dataclass(frozen=True)
class Outcome:
    """Of one step.

    Attributes:
        status: how it ended.
        reason: why it failed.
        seconds: that it took.
        arguments: of the command.
        source: checksum of what it read; empty where it read nothing.
    """

    status: Literal["done", "failed"]
    reason: str
    seconds: float
    arguments: tuple[str, ...]
    source: str


class Journal:
    """The outcomes of a sweep, by the names of the steps.

    Args:
        path: of the file; need not exist.

    Raises:
        UserError: the file is something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.outcomes: dict[str, Outcome] = {}
        if path.exists():
            try:
                values = read_json(path, RECORD_BYTES)
                if values["kind"] != KIND:
                    raise ValueError("it is of another kind")
                self.outcomes = decode(dict[str, Outcome], values["steps"])
            except (ValueError, TypeError, KeyError) as error:
                raise UserError(f"{path} is no journal of a sweep ({error}); choose another --out") from error

    def is_done(self, step: Step) -> bool:
        """Whether a step has succeeded, with the same options on the same source, and its output is still there."""
        outcome = self.outcomes.get(step.name)
        return (
            outcome is not None
            and outcome.status == "done"
            and outcome.arguments == step.arguments
            and step.output.exists()
            and outcome.source == fingerprint(step.source)
        )

    def note(self, step: Step, reason: str, seconds: float) -> None:
        """Write down how a step ended; an empty reason is success."""
        status: Literal["done", "failed"] = "failed" if reason else "done"
        self.outcomes[step.name] = Outcome(status, reason, seconds, step.arguments, fingerprint(step.source))
        steps = {name: dataclasses.asdict(outcome) for name, outcome in self.outcomes.items()}
        with atomic_file(self._path) as temporary:
            temporary.write_text(json.dumps({"kind": KIND, "steps": steps}, indent=1) + "\n", encoding="utf-8")


def fingerprint(source: Path | None) -> str:
    """SHA-256 of a file, or of the SHA256SUMS of a bundle, which names all else; empty when there is none."""
    if source is None:
        return ""
    file = source / SUMS if source.is_dir() else source
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
