"""Command lines of ours, as a person can paste them into a shell."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any

from singleimg.config.location import CONF
from singleimg.storage.base import Store

_CHECKOUT, _INSTALLED = "python run.py", "singleimg"


def program() -> str:
    """How commands of ours begin: ``singleimg`` if started by that name, or without a checkout."""
    started = Path(sys.argv[0])
    installed = not CONF.with_name("run.py").exists()
    if installed or started.stem == _INSTALLED or started.parts[-2:] == (_INSTALLED, "__main__.py"):
        return _INSTALLED
    return _CHECKOUT


def as_started(text: str) -> str:
    """A text that tells of ``python run.py``, with the command as it was started."""
    return text.replace(_CHECKOUT, program())


def command(*arguments: str) -> str:
    """A command line of ours, as a person can paste it into a shell."""
    return " ".join([program(), *map(shlex.quote, arguments)])


def typed(key: str, value: Any) -> str:
    """``key=value`` as Hydra reads it: quoted where there is more than a plain word."""
    plain = re.fullmatch(r"[\w./:@+-]+", str(value))
    quoted = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f"{key}={value}" if plain else f'{key}="{quoted}"'


def replay(folder: Path | str, *more: str) -> str:
    """The command that makes a dataset again from what lies beside it, in its own folder."""
    return command("-cp", str(folder), "-cn", "config", typed("targetpath", folder), *more)


def go_on(store: Store) -> str:
    """How to go on with a dataset of which images are missing."""
    if store.local_path is None:  # Hydra reads no configuration behind a URL
        return "To go on, type the command that began it."
    return f"To go on: {replay(store.local_path)}"
