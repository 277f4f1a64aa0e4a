"""The schemas that other agents are written from are those of the messages that this one sends.

pydantic derives them from the dataclasses. After a change of a message run this file as a program: it writes them anew.
"""

import inspect
import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from mobiledet.devices import base
from mobiledet.devices.agent import messages

PATH = Path("apps/protocol/messages.schema.json")
MESSAGES = (
    messages.AgentInfo,
    messages.BenchRequest,
    messages.BundleInfo,
    messages.ErrorMessage,
    messages.FoundLine,
    messages.JobInfo,
    messages.SessionInfo,
    messages.SessionRequest,
    base.DeviceState,
    base.GoldenReport,
)


def schema() -> dict[str, Any]:
    """Every message and its parts, as definitions of one JSON schema."""
    adapters: list[Any] = [(kind.__name__, "validation", TypeAdapter(kind)) for kind in MESSAGES]
    definitions = TypeAdapter.json_schemas(adapters)[1]["$defs"]
    for name, definition in definitions.items():
        kind = getattr(messages, name, None) or getattr(base, name)
        for field in definition["properties"].values():
            field.pop("title", None)
            field.pop("default", None)
        definition["description"] = inspect.getdoc(kind)
        definition["required"] = list(definition["properties"])
        definition["additionalProperties"] = False
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Messages of the mobiledet agent protocol, version {messages.PROTOCOL}",
        "$defs": definitions,
    }


def text() -> str:
    return json.dumps(schema(), indent=2) + "\n"


def test_schema_is_that_of_the_messages(project_root: Path) -> None:
    assert (project_root / PATH).read_text() == text()


if __name__ == "__main__":
    PATH.write_text(text())
