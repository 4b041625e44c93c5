"""The one exception that means: a person can mend this by typing something else; its hints."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """One sentence for a person: what was wrong, where, what is allowed, what to type instead.

    Raised anywhere, printed only by the outermost line of ``run.py``, which then exits with 1.
    """


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """`` (did you mean X?)``, or nothing when no word is near."""
    near = get_close_matches(word, list(words), 1, 0.6)
    return f" (did you mean {near[0]}?)" if near else ""
