"""Writes docs/reference/: ``python docs/reference.py``, after a change of conf/ or of the package.

``tests/docs/test_reference.py`` compares the pages with what this would write.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "reference"
_HEAD = """\
<!-- Written by python docs/reference.py: change conf/ or the docstrings, and run it again. -->

# {title}

"""


def pages() -> dict[str, str]:
    """The text of each page, by the name of its file."""
    from interfaces_page import interfaces
    from settings_page import settings

    made = {"settings.md": ("Settings", settings()), "interfaces.md": ("Interfaces", interfaces())}
    return {name: _page(title, "\n".join(lines)) for name, (title, lines) in made.items()}


def _page(title: str, text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", f"{_HEAD.format(title=title)}{text.rstrip()}\n")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))  # of this checkout, whichever is installed
    FOLDER.mkdir(exist_ok=True)
    for _name, _text in pages().items():
        (FOLDER / _name).write_text(_text, encoding="utf-8")
