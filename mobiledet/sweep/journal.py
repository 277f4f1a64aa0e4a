"""The outcomes of a sweep's steps, kept in a JSON file that is rewritten after each step."""

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
    """Outcome of a step.

    Attributes:
        status: whether it succeeded.
        reason: why it failed; empty if it succeeded.
        seconds: its duration.
        arguments: arguments of its command.
        source: checksum of the file that it read; empty if it read none.
    """

    status: Literal["done", "failed"]
    reason: str
    seconds: float
    arguments: tuple[str, ...]
    source: str


class Journal:
    """The outcomes of a sweep, by the names of the steps.

    Args:
        path: the file; it need not exist.

    Raises:
        UserError: the file is not a journal.
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
                raise UserError(f"{path} is not the journal of a sweep ({error}); choose another --out") from error

    def is_done(self, step: Step) -> bool:
        """Whether a step has succeeded with the same options on the same source, and its output still exists."""
        outcome = self.outcomes.get(step.name)
        return (
            outcome is not None
            and outcome.status == "done"
            and outcome.arguments == step.arguments
            and step.output.exists()
            and outcome.source == fingerprint(step.source)
        )

    def record(self, step: Step, reason: str, seconds: float) -> None:
        """Record the outcome of a step; an empty reason means success."""
        status: Literal["done", "failed"] = "failed" if reason else "done"
        self.outcomes[step.name] = Outcome(status, reason, seconds, step.arguments, fingerprint(step.source))
        steps = {name: dataclasses.asdict(outcome) for name, outcome in self.outcomes.items()}
        with atomic_file(self._path) as temporary:
            temporary.write_text(json.dumps({"kind": KIND, "steps": steps}, indent=1) + "\n", encoding="utf-8")


def fingerprint(source: Path | None) -> str:
    """SHA-256 of a file, or of a bundle's SHA256SUMS, which covers all its files; empty if there is none."""
    if source is None:
        return ""
    file = source / SUMS if source.is_dir() else source
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
