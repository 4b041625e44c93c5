"""A folder for the time of one run, another for several processes, and what killed runs left."""

from __future__ import annotations

import atexit
import errno
import fcntl
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from threading import Lock

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
            # Daemons that are about to end may still write there.
            folder = TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True)
            name = stack.enter_context(folder)
            stack.enter_context(FileLock(Path(name, _LOCK)))
        yield Path(name)


def shared_folder(key: str) -> Path:
    """A folder that all processes of a user on this machine have for a ``key``, 32 digits of 16.

    It stays until the last process that has it ends; after one that was killed, until another
    process has the folder of another key. Raises UserError where it cannot be made.
    """
    top = Path(gettempdir()) / f"shared-{_PREFIX}{os.getuid()}"
    with _sharing, temporary_errors():
        top.mkdir(mode=0o700, exist_ok=True)
        about = top.lstat()  # who made it, or a link, could put pictures into it
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), top)
        if top / key not in _shared:
            with FileLock(top / _LOCK):
                for other in top.iterdir():
                    if other not in _shared and re.fullmatch(r"[0-9a-f]{32}", other.name):
                        _remove_unused(other)
                (top / key).mkdir(exist_ok=True)
                _shared[top / key] = os.open(top / key / _LOCK, os.O_RDWR | os.O_CREAT)
                fcntl.flock(_shared[top / key], fcntl.LOCK_SH)
    return top / key


_shared: dict[Path, int] = {}  # the folders that this process has, and their locks
_sharing = Lock()


@atexit.register
def _let_go_of_shared() -> None:
    while _shared:
        folder, held = _shared.popitem()
        os.close(held)
        with suppress(OSError), FileLock(folder.with_name(_LOCK)):
            _remove_unused(folder)


def _remove_unused(folder: Path) -> None:
    """Removes a shared folder unless a process has it."""
    with suppress(OSError):
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


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
