"""Finds the files that annotations name, even if separators, Unicode forms or folders differ. Imports no torch."""

import os
import unicodedata
from pathlib import Path, PureWindowsPath
from typing import NamedTuple


class _Entries(NamedTuple):
    """The names in a folder, and the non-ASCII names by their composed Unicode form (NFC)."""

    names: frozenset[str]
    composed: dict[str, list[str]]


class FolderIndex:
    """Finds files in a folder and its subfolders. Each folder is listed only once, which is faster than a stat call per
    file.

    Args:
        folder: the folder that names are relative to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._entries: dict[str, _Entries] = {}
        self._folders: dict[str, str | None] = {"": ""}
        self._tail = folder.absolute().parts

    def find(self, name: str) -> tuple[Path | None, str]:
        """The file that a name in an annotation refers to.

        Also accepted are Windows' separators, another Unicode form than on the disk, an absolute path inside the
        folder, and a path that begins with the folder's own name.

        Returns:
            the file, or None and the reason.
        """
        for candidate in self._candidates(name):
            found = self._lookup(candidate)
            if found:
                return self.folder / found, ""
        plain = name.replace("\\", "/")
        if "\0" in name or not name.strip():
            return None, "is not a file name"
        reaches_out = os.path.isabs(plain) or PureWindowsPath(name).drive or ".." in plain.split("/")
        if reaches_out and not self._inside(plain):
            return None, f"points outside {self.folder}; file names must be relative to that folder"
        return None, f"has no file in {self.folder}{self._hint(plain)}"

    def _candidates(self, name: str) -> list[str]:
        """Relative paths that ``name`` may mean, the likeliest first."""
        spellings = [name] if "\\" not in name else [name, name.replace("\\", "/")]
        candidates = []
        for spelling in spellings:
            relative = self._inside(spelling) if os.path.isabs(spelling) else spelling
            if not relative or "\0" in relative:
                continue
            parts = [part for part in relative.split("/") if part not in ("", ".")]
            if ".." in parts or not parts:
                continue
            candidates.append("/".join(parts))
            for count in range(min(len(parts) - 1, len(self._tail)), 0, -1):
                if _composed(parts[:count]) == _composed(self._tail[-count:]):
                    candidates.append("/".join(parts[count:]))
        return candidates

    def _inside(self, path: str) -> str:
        """An absolute path relative to the folder; empty if it is outside the folder."""
        for root in {str(self.folder.absolute()), str(self.folder.resolve())}:
            relative = os.path.relpath(os.path.normpath(path), root) if os.path.isabs(path) else ".."
            if not relative.startswith(".."):
                return relative
        return ""

    def _lookup(self, relative: str) -> str | None:
        parent, _, base = relative.rpartition("/")
        folder = self._folder(parent)
        return None if folder is None else self._entry(folder, base)

    def _folder(self, relative: str) -> str | None:
        """A subfolder by its name on the disk; None if it does not exist."""
        if relative not in self._folders:
            parent, _, base = relative.rpartition("/")
            above = self._folder(parent)
            self._folders[relative] = None if above is None else self._entry(above, base)
        return self._folders[relative]

    def _entry(self, folder: str, name: str) -> str | None:
        entries = self._list(folder)
        prefix = f"{folder}/" if folder else ""
        if name in entries.names:
            return prefix + name
        others = entries.composed.get(unicodedata.normalize("NFC", name), []) if not name.isascii() else []
        return prefix + others[0] if len(others) == 1 else None

    def _list(self, folder: str) -> _Entries:
        if folder not in self._entries:
            try:
                names = frozenset(os.listdir(self.folder / folder))
            except OSError:
                names = frozenset()
            composed: dict[str, list[str]] = {}
            for name in names:
                if not name.isascii():
                    composed.setdefault(unicodedata.normalize("NFC", name), []).append(name)
            self._entries[folder] = _Entries(names, composed)
        return self._entries[folder]

    def _hint(self, relative: str) -> str:
        """A suggestion for a file that was not found; empty if there is none."""
        near = self._in_other_case(relative)
        if near:
            return f"; there is {near}, in another letter case"
        below = next((name for name in sorted(self._list("").names) if self._lookup(f"{name}/{relative}")), "")
        return f"; there is {below}/{relative}, so give {self.folder / below} as the folder" if below else ""

    def _in_other_case(self, relative: str) -> str:
        parent, _, base = relative.rpartition("/")
        folder = self._folder(parent)
        if folder is None:
            return ""
        return next((name for name in self._list(folder).names if name.casefold() == base.casefold()), "")


def _composed(parts: "list[str] | tuple[str, ...]") -> list[str]:
    return [unicodedata.normalize("NFC", part) for part in parts]
