"""Getting bytes onto the disk, so that what was renamed into place is whole even after a power cut.

A rename is atomic for those who look, but the file system may write it down before the bytes that
it names. So bytes are made durable first, and the folder that holds the new name afterwards.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import uuid4

from singleimg.storage.base import TEMPORARY


@dataclass(frozen=True)
class Disk:
    """How files reach the disk; ``durable=False`` leaves the moment to the operating system."""

    durable: bool = True

    def names(self, folder: Path) -> list[str]:
        """What lies in a folder; nothing where there is none."""
        try:
            with os.scandir(folder) as found:
                return [one.name for one in found]
        except FileNotFoundError:
            return []

    def exists(self, path: Path) -> bool:
        """Whether a file or folder is there."""
        return path.exists()

    def is_folder(self, path: Path) -> bool:
        """Whether a folder is there."""
        return path.is_dir()

    def read(self, file: Path) -> bytes | None:
        """The bytes of a file; None where there is none."""
        try:
            return file.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read_all(self, files: Sequence[Path]) -> Iterator[bytes | None]:
        """The bytes of each file; None where there is none."""
        return map(self.read, files)

    def staging(self, target: Path) -> Path:
        """The folder in which shards are written before they are put into ``target``."""
        return target

    def within(self, folder: Path) -> Disk:
        """The same, in a run that has ``folder`` for what it does not keep: not needed here."""
        return self

    def put(self, staged: Path, target: Path, place: str) -> None:
        """Has what was ``staged`` appear at ``place`` in ``target``, by one rename."""
        final = target / place
        self.make_folders(target, final.parent)
        staged.replace(final)
        self.sync_folder(final.parent)

    def move(self, path: Path, place: Path) -> None:
        """Moves a file or folder, into folders that are made when missing."""
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)

    def put_away(self, leftover: Path, target: Path) -> None:
        """Takes a file or folder out of sight by one rename: whoever reads sees whole shards."""
        leftover.rename(target / f"{TEMPORARY}{leftover.name}-{uuid4().hex[:12]}")

    @contextmanager
    def syncing(self, folder: Path) -> Iterator[Callable[[], None]]:
        """Gives a function that makes all that was written below ``folder`` since now durable.

        One ``syncfs`` where there is one: an fsync of each of a thousand files takes a hundred
        times as long. Opened before the first write, because Linux reports to a descriptor the
        errors of writing back that happened while it was open.
        """
        if not self.durable:
            yield lambda: None
            return
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            yield lambda: _sync_below(folder, descriptor)
        finally:
            os.close(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """Makes the names in ``folder`` durable."""
        if self.durable:
            _fsync(folder)

    def make_folders(self, base: Path, folder: Path) -> None:
        """Makes ``folder`` below ``base``, which must exist: a removed target is not made anew."""
        if folder == base or folder.is_dir():
            return
        self.make_folders(base, folder.parent)
        folder.mkdir(exist_ok=True)
        self.sync_folder(folder.parent)

    def write_whole(self, path: Path, text: str | Iterable[str]) -> None:
        """Writes a text file so that a reader sees the old one or the new one, never a part."""
        temporary = path.with_name(f"{TEMPORARY}{path.name}-{os.getpid()}")
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.writelines([text] if isinstance(text, str) else text)
                file.flush()
                if self.durable:
                    os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        self.sync_folder(path.parent)

    def remove(self, path: Path) -> None:
        """Removes a file that may be missing."""
        if path.exists():
            path.unlink()
            self.sync_folder(path.parent)


def write_all(path: str, data: bytes) -> None:
    """Writes a new file in as many steps as the system needs (a full disk takes a part first)."""
    # A million times: building a Path would cost half as much as creating the file.
    with open(path, "xb", buffering=0) as file:
        written = file.write(data)
        while written < len(data):
            written += file.write(data[written:])


def _sync_below(folder: Path, descriptor: int) -> None:
    syncfs = _syncfs()
    if syncfs is not None:
        if syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
        return
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            _fsync(Path(place, name))
        _fsync(Path(place))


@cache
def _syncfs() -> Callable[[int], int] | None:
    """The C library's ``syncfs``, which Python does not offer; None where there is none."""
    if sys.platform != "linux":
        return None
    try:
        return ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return None


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems sync no folders
            raise
    finally:
        os.close(descriptor)
