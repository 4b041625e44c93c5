"""The one exception that means: a person can mend this by typing something else; its hints."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import unquote


class UserError(Exception):
    """One sentence for a person: what was wrong, where, what is allowed, what to type instead.

    Raised anywhere, printed only by the outermost line of ``run.py``, which then exits with 1.
    """


class WriteError(UserError):
    """A fault of the system in the middle of the work: once it is mended, the work can go on."""


def unwritable(target: Path | str, error: OSError) -> UserError:
    """The sentence for a target folder that cannot be written or read."""
    return UserError(
        f"targetpath={target} cannot be written ({error.strerror or error}): "
        "type another targetpath, make room, or change its permissions."
    )


def is_url(text: str | None) -> bool:
    """Whether a target lies behind a URL, not in a folder."""
    return re.match(r"(?!file:)[A-Za-z][\w.+:-]*://", text or "") is not None


def file_path(text: str) -> str:
    """The path of a URL of this machine, ``file:///a%20b``; any other text as it is."""
    if not text.startswith("file:/"):
        return text
    return unquote(text.removeprefix("file:").removeprefix("//").removeprefix("localhost"))


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """`` (did you mean X?)``, or nothing when no word is near."""
    near = get_close_matches(word, list(words), 1, 0.6)
    return f" (did you mean {near[0]}?)" if near else ""
