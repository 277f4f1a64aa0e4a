"""Tables of networks by name: our own entries, and those that other packages register through entry points."""

import functools
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from mobiledet.errors import UserError

Entry = TypeVar("Entry")


class Registry(Mapping[str, Entry]):
    """A mapping of our own entries, then those of other packages, which are imported only when they are accessed.

    Args:
        kind: what an entry is, for error messages.
        group: group of the entry points; their names are the keys.
        own: our own entries by key.
    """

    def __init__(self, kind: str, group: str, own: Mapping[str, Entry]) -> None:
        self._kind = kind
        self._group = group
        self._own = own

    @functools.cached_property
    def _others(self) -> dict[str, list[EntryPoint]]:
        found: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=self._group):
            found.setdefault(point.name, []).append(point)
        return found

    def __getitem__(self, key: str) -> Entry:
        """The entry.

        Raises:
            KeyError: the key is unknown.
            UserError: several packages have an entry of this name, or the package cannot be imported.
        """
        points = self._others.get(key, [])
        owners = ["mobiledet"] * (key in self._own) + [_package(point) for point in points]
        if len(owners) > 1:
            raise UserError(f"several packages have a {self._kind} {key}: {', '.join(owners)}; uninstall all but one")
        if not points:
            return self._own[key]
        try:
            entry: Entry = points[0].load()
        except Exception as error:  # another package may raise anything
            reason = f"{type(error).__name__}: {error}"
            raise UserError(
                f"{self._kind} {key} of the package {owners[0]} cannot be loaded: {reason}; update or uninstall it"
            ) from error
        return entry

    def __contains__(self, key: object) -> bool:
        return key in self._own or key in self._others

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        yield from (key for key in sorted(self._others) if key not in self._own)

    def __len__(self) -> int:
        return len(self._own.keys() | self._others.keys())


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value
