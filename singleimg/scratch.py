"""A folder for the time of one run, and what killed runs left of theirs."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from filelock import FileLock, Timeout

_PREFIX, _LOCK = "singleimg-", ".lock"
_FRESH = 60  # seconds in which a new folder may not yet be locked


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder in the system's place for temporary files; it goes with the run."""
    _sweep()
    with TemporaryDirectory(prefix=_PREFIX) as name, FileLock(Path(name, _LOCK)):
        yield Path(name)


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
