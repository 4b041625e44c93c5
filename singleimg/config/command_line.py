"""Command lines of ours, as a person can paste them into a shell."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from singleimg.config.location import CONF
from singleimg.storage.base import Store

_CHECKOUT, _INSTALLED = "python run.py", "singleimg"


def program() -> str:
    """How commands of ours begin here: ``singleimg`` if started by that name, or not a checkout."""
    started, script = Path(sys.argv[0]), CONF.with_name("run.py")
    if started.parts[-2:] == (_INSTALLED, "__main__.py"):
        beside = shutil.which(_INSTALLED, path=str(Path(sys.executable).parent))
        return _INSTALLED if beside else f"{_python()} -m {_INSTALLED}"
    if not script.exists() or started.stem == _INSTALLED:
        return _INSTALLED
    lies_here = Path("run.py").exists() and Path("run.py").samefile(script)
    return f"{_python()} {'run.py' if lies_here else quoted(str(script))}"


def _python() -> str:
    """The interpreter that runs this: by its name, if a shell would find it."""
    for name in ("python", "python3"):
        found = shutil.which(name)
        if found and Path(found).parent == Path(sys.executable).parent:
            return name
    return quoted(sys.executable or "python")


def as_started(text: str) -> str:
    """A text that tells of ``python run.py``, with the command as it was started."""
    return text.replace(_CHECKOUT, program())


def command(*arguments: str) -> str:
    """A command line of ours, as a person can paste it into a shell."""
    return " ".join([program(), *map(quoted, arguments)])


def quoted(text: str) -> str:
    """One word of a command line, the same in bash, zsh and fish.

    fish reads a backslash between single quotes as bash and zsh do not: it stands between double
    ones, where all three agree.
    """
    if re.fullmatch(r"[\w@%+=:,./-]+", text, re.ASCII):
        return text
    return "'" + re.sub(r"['\\]", lambda mark: _OUTSIDE[mark[0]], text) + "'"


_OUTSIDE = {"'": "'\"'\"'", "\\": "'\"\\\\\"'"}


def typed(key: str, path: Any) -> str:
    """``key=path`` for one of the keys in ``paths.PATHS``: an absolute path, or a URL."""
    if "${" not in str(path):
        return f"{key}={path}"
    from singleimg.config.paths import literal  # workers, who print commands too, need no Hydra

    return f"{key}={literal(str(path))}"


def replay(folder: Path | str, *more: str, name: str = "config") -> str:
    """The command that makes a dataset again from what lies beside it, in its own folder.

    name: of the file, without ``.yaml``.
    """
    return command("-cp", str(folder), "-cn", name, *more)


def trusting(modules: Sequence[str]) -> list[str]:
    """The packages of a person's own that a dataset names: typed each time, and never kept."""
    return [f"trusted_modules=[{','.join(modules)}]"] if modules else []


def go_on(store: Store, trusted_modules: Sequence[str] = ()) -> str:
    """How to go on with a dataset of which images are missing."""
    if store.local_path is None:  # Hydra reads no configuration behind a URL
        return "to resume it, type the command that started it."
    return f"to resume it, type {replay(store.local_path, *trusting(trusted_modules))}"
