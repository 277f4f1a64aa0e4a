"""A hook of MkDocs: files of the repository that lie outside of docs/ as pages of the site.

The pages of docs/ link to them by relative paths, as a code host shows them. Here such a link leads to the page that is
made of the file; where there is none, it becomes the path in words, for the site holds no other file.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from mobiledet.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
# file of the repository -> page of the site
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "apps/PROTOCOL.md": "protocol.md",
}
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made of files outside of docs/."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_rebased(text, ROOT / source, page)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Mend the links of a page of docs/."""
    if page.file.src_uri in PAGES.values():
        return markdown
    if page.file.src_uri == "commands.md":
        return markdown.replace("<!-- commands -->", _commands())
    return _rebased(markdown, ROOT / "docs" / page.file.src_uri, page.file.src_uri)


def _commands() -> str:
    """The help of every command."""
    helps = [_help("mobiledet", "--help")]
    helps += [f"## {name}\n{_help('mobiledet', name, '--help')}" for name in COMMANDS]
    return "\n\n".join(helps)


def _help(*words: str) -> str:
    plain = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    program = [sys.executable, "-m", "mobiledet.cli", *words[1:]]
    text = subprocess.run(program, env=plain, capture_output=True, text=True, check=True).stdout
    return f"```text\n$ {' '.join(words)}\n{text.rstrip()}\n```"


def _rebased(markdown: str, source: Path, page: str) -> str:
    """The text of ``source`` as it has to stand on ``page``."""

    def rebased(match: re.Match[str]) -> str:
        mark, words, target = match.groups()
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target) or not path:
            return match.group()
        file = Path(os.path.normpath(source.parent / path)).relative_to(ROOT).as_posix()
        inside = file.removeprefix("docs/") if file.startswith("docs/") else PAGES.get(file)
        if inside is None:
            return f"{words} (`{file}`)" if words.strip("`") not in (file, path) else f"`{file}`"
        relative = os.path.relpath(inside, Path(page).parent)
        return f"{mark}[{words}]({relative}{'#' + anchor if anchor else ''})"

    # code is left as it is
    parts = re.split(r"(^```.*?^```|`[^`\n]+`(?!\]))", markdown, flags=re.M | re.S)
    return "".join(part if part.startswith("`") else _LINK.sub(rebased, part) for part in parts)
