"""Pages of the site that lie at the top of the repository, where hosts and people look for them."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_PAGES = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}
_LINKS = {"README.md": "index.md", **{name: page for page, name in _PAGES.items()}}


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds them; links to pages of docs/ and to each other lead to pages of the site."""
    top = Path(config.config_file_path).parent
    for page, name in _PAGES.items():
        if (top / name).exists():
            text = (top / name).read_text(encoding="utf-8")
            files.append(
                File.generated(config, page, content=re.sub(r"(?<=\]\()([^)#\s]+)", _moved, text))
            )
    return files


def _moved(link: re.Match[str]) -> str:
    return _LINKS.get(link[1], link[1].removeprefix("docs/"))
