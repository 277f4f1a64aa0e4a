"""A griffe extension: one description for several attributes, ``height, width: pixels``, becomes one for each."""

import re
from typing import Any

from griffe import Extension, Object

# names, and a description that goes on in lines which are indented further
_SEVERAL = re.compile(r"^( +)(\w+(?:, \w+)+): (.*(?:\n\1 +.*)*)", re.M)


class SeveralNames(Extension):
    """Mends docstrings before they are parsed."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Called for each object that was read."""
        if obj.docstring:
            obj.docstring.value = _SEVERAL.sub(_apart, obj.docstring.value)


def _apart(match: re.Match[str]) -> str:
    space, names, description = match.groups()
    return "\n".join(f"{space}{name}: {description}" for name in names.split(", "))
