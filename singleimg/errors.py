"""The one exception that means: a person can mend this by typing something else; its hints."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from traceback import walk_tb
from typing import Any
from urllib.parse import unquote

FULL = "HYDRA_FULL_ERROR"  # a variable of the environment, by which Hydra's users know it
ALL_OF_IT = f"fix it, or type {FULL}=1 before the command to see the whole traceback."


class UserError(Exception):
    """One sentence for a person: what was wrong, where, what is allowed, what to type instead.

    Raised anywhere, printed only by the outermost line of ``run.py``, which then exits with 1.
    """


class WriteError(UserError):
    """A fault of the system in the middle of the work: once it is mended, the work can go on."""


def clause(error: Exception) -> str:
    """The sentence of an error without its full stop, to be a part of another sentence."""
    return str(error).removesuffix(".")


def unwritable(target: Path | str, error: OSError) -> UserError:
    """The sentence for a target folder that cannot be written or read."""
    return UserError(
        f"targetpath={target} cannot be written ({error.strerror or error}): "
        "type another targetpath, make room, or change its permissions."
    )


def misfit(what: str, got: Any, owed: str) -> UserError:
    """The sentence for a class that a person wrote, of which ``what`` gives something unfit."""
    kind = "nothing (None)" if got is None else f"{type(got).__name__}"
    if hasattr(got, "shape") and hasattr(got, "dtype"):
        kind += f" of {got.dtype}, {'×'.join(map(str, got.shape)) or 'no dimensions'}"
    elif hasattr(got, "mode") and hasattr(got, "size"):
        kind += f" of mode {got.mode}, {got.size[0]}×{got.size[1]}"
    elif isinstance(got, str | int | float | bool | dict):
        kind += f" {got!r}"
    return UserError(f"{what} gives {kind}, and {owed} is needed: docs/extending.md shows one.")


def own_failure(error: BaseException, modules: Iterable[str]) -> str | None:
    """``mine.Source.load: ValueError: … (mine.py, line 12)``: where code below ``modules`` failed.

    The last line of theirs that was at work; None: none was.
    """
    for frame, line in reversed(list(walk_tb(error.__traceback__))):
        name = str(frame.f_globals.get("__name__"))
        if any(name == module or name.startswith(f"{module}.") for module in modules):
            said = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
            file = Path(frame.f_code.co_filename).name
            return f"{name}.{frame.f_code.co_qualname}: {said} ({file}, line {line})"
    return None


@contextmanager
def own_failures(modules: Iterable[str]) -> Iterator[None]:
    """Raises a UserError, one sentence, instead of what code below ``modules`` raises."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        said = own_failure(error, modules)
        if said is None:
            raise
        raise UserError(f"{said}: {ALL_OF_IT}") from error


def is_url(text: str | None) -> bool:
    """Whether a target lies behind a URL, not in a folder."""
    return re.match(r"(?!file:)[A-Za-z][\w.+:-]*://", text or "") is not None


def file_path(text: str) -> str:
    """The path of a URL of this machine, ``file:///a%20b``; any other text as it is."""
    if not text.startswith("file:/"):
        return text
    return unquote(text.removeprefix("file:").removeprefix("//").removeprefix("localhost"))


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The word that was most likely meant; None when no word is near."""
    return next(iter(get_close_matches(word, list(words), 1, 0.6)), None)


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """`` (did you mean X?)``, or nothing when no word is near."""
    near = nearest(word, words)
    return f" (did you mean {near}?)" if near else ""
