"""A folder for the time of one run, and what killed runs left of theirs."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from filelock import FileLock, Timeout

from singleimg.errors import UserError

_PREFIX, _LOCK = "singleimg-", ".lock"
_FRESH = 60  # seconds in which a new folder may not yet be locked


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder in the system's place for temporary files; it goes with the run."""
    _sweep()
    with ExitStack() as stack:
        with temporary_errors():
            name = stack.enter_context(TemporaryDirectory(prefix=_PREFIX))
            stack.enter_context(FileLock(Path(name, _LOCK)))
        yield Path(name)


@contextmanager
def temporary_errors() -> Iterator[None]:
    """Turns errors of the system into a sentence that says where the system's folder is."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"The folder for temporary files cannot be written ({error.strerror or error}): make "
            "room there, or type TMPDIR=/another/folder before the command."
        ) from error


def _sweep() -> None:
    """Removes the folders of runs that were killed: nobody holds their locks."""
    for folder in Path(gettempdir()).glob(f"{_PREFIX}*"):
        try:
            about = folder.lstat()
            if about.st_uid != os.getuid() or time.time() - about.st_mtime < _FRESH:
                continue
            if folder.is_symlink() or not (folder / _LOCK).exists():
                continue
            with FileLock(folder / _LOCK, blocking=False):
                shutil.rmtree(folder, ignore_errors=True)
        except (OSError, Timeout):
            continue  # somebody's at work in it, or another run has just removed it
