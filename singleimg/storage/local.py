"""Datasets in a folder, so that what was renamed into place is whole even after a power cut.

A rename is atomic for those who look, but the file system may write it down before the bytes that
it names. So bytes are made durable first, and the folder that holds the new name afterwards.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from singleimg.errors import WriteError
from singleimg.storage.base import TEMPORARY, Details, Range, Store, whole_part
from singleimg.storage.shards import WHOLE, Slice

_CHUNK = 1 << 20  # bytes
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)  # FAT, SMB, FUSE
_OPEN = 256  # files that a reader of ranges keeps open


@dataclass(frozen=True)
class LocalStore(Store):
    """A folder of this machine. Of a million files no Path is made, only text."""

    root: Path
    durable: bool = True

    renames = True

    def __str__(self) -> str:
        return str(self.root)

    @property
    def local_path(self) -> Path:
        return self.root

    # --- what is there ---

    def names(self, folder: str = "") -> list[str]:
        try:
            with os.scandir(self.path_of(folder)) as found:
                return [one.name for one in found]
        except FileNotFoundError:
            return []

    def details(self, folder: str = "") -> dict[str, Details]:
        try:
            with os.scandir(self.path_of(folder)) as found:
                return {one.name: _details(one) for one in found}
        except FileNotFoundError:
            return {}

    def exists(self, name: str) -> bool:
        return os.path.exists(self.path_of(name))

    def is_folder(self, name: str) -> bool:
        return os.path.isdir(self.path_of(name))

    def read(self, name: str, most: int = -1) -> bytes | None:
        try:
            with open(self.path_of(name), "rb", buffering=0) as file:
                return file.read(most)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read_all(self, names: Sequence[str], most: int | None = None) -> Iterator[bytes | None]:
        return (self.read(name, -1 if most is None else most) for name in names)

    def chunks(self, name: str, part: tuple[int, int] | None = None) -> Iterator[bytes]:
        descriptor = os.open(self.path_of(name), os.O_RDONLY)
        try:
            if part is not None:
                offset, size = part
                yield os.pread(descriptor, size, offset)
                return
            data = os.read(descriptor, _CHUNK)
            yield data
            while len(data) == _CHUNK:
                data = os.read(descriptor, _CHUNK)
                yield data
        finally:
            os.close(descriptor)

    def open_ranges(self) -> Callable[[Sequence[Range]], list[bytes]]:
        # Of its own: a dataset that was replaced since has other files under the same names.
        opened = lru_cache(maxsize=_OPEN)(_Descriptor)

        def read(ranges: Sequence[Range]) -> list[bytes]:
            found = []
            for name, offset, size in ranges:
                path = self.path_of(name)
                file = opened(path)  # held, lest it be closed when another thread opens many
                found.append(whole_part(os.pread(file.number, size, offset), path, size))
            return found

        return read

    # --- changes ---

    def write(self, name: str, text: str | Iterable[str]) -> None:
        folder = _parent(name)
        self.make_folder(folder)
        with self._written(name, text) as temporary:
            temporary.replace(self.root / name)
        self.sync_folder(folder)

    def create(self, name: str, text: str) -> None:
        folder = _parent(name)
        self.make_folder(folder)
        with self._written(name, text) as temporary, suppress(FileExistsError):
            try:
                os.link(temporary, self.root / name)  # whole, and over nothing that is there
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                with open(self.root / name, "x", encoding="utf-8") as file:
                    file.write(text)
        self.sync_folder(folder)

    @contextmanager
    def _written(self, name: str, text: str | Iterable[str]) -> Iterator[Path]:
        """A durable file of a text, beside its name; of other machines none has the same."""
        path = self.root / name
        temporary = path.with_name(f"{TEMPORARY}{path.name}-{uuid4().hex}")
        try:
            with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
                file.writelines([text] if isinstance(text, str) else text)
                file.flush()
                if self.durable:
                    os.fsync(file.fileno())
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    def put(self, staged: Path, name: str) -> None:
        folder = _parent(name)
        self.make_folder(folder)
        try:
            staged.replace(self.root / name)
        except OSError as error:
            # A worker that was cut off, and taken for lost, may have put the same there.
            taken = error.errno in (errno.ENOTEMPTY, errno.EEXIST)
            if not taken or _sizes(staged) != _sizes(self.root / name):
                raise
        self.sync_folder(folder)

    def move(self, name: str, to: str) -> None:
        folder = _parent(to)
        self.make_folder(folder)
        (self.root / name).rename(self.root / to)
        self.sync_folder(folder)

    def remove(self, name: str, *, wait: bool = True) -> None:
        try:
            os.unlink(self.path_of(name))
        except (FileNotFoundError, NotADirectoryError):
            return
        if wait:
            self.sync_folder(_parent(name))

    def discard(self, name: str) -> None:
        hidden = self.root / f"{TEMPORARY}{name.rpartition('/')[2]}-{uuid4().hex[:12]}"
        (self.root / name).rename(hidden)
        _remove(hidden)

    def make_folder(self, name: str) -> None:
        if not name or self.is_folder(name):
            return
        self.make_folder(_parent(name))
        (self.root / name).mkdir(exist_ok=True)
        self.sync_folder(_parent(name))

    def remove_empty(self, name: str) -> None:
        folder = self.root / name
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def clear_temporary(self, folders: Iterable[str] = ("",), of: Slice = WHOLE) -> None:
        for folder in folders:
            for name in self.names(folder):
                if name.startswith(TEMPORARY) and of.owns(name):
                    _remove(self.root / folder / name)

    def sync_folder(self, name: str = "") -> None:
        """Makes the names in a folder durable."""
        if self.durable:
            _fsync(self.root / name)

    # --- a shard on its way ---

    @property
    def staging(self) -> Path:
        return self.root

    def within(self, folder: Path) -> LocalStore:
        return self

    @contextmanager
    def syncing(self, folder: Path) -> Iterator[Callable[[], None]]:
        # One syncfs where there is one: an fsync of each of a thousand files takes a hundred times
        # as long. Opened before the first write, because Linux reports to a descriptor the errors
        # of writing back that happened while it was open.
        if not self.durable:
            yield lambda: None
            return
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            yield lambda: _sync_below(folder, descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def writing(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise write_error(str(self), error, what) from error


_REMEDIES = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room within your quota",
    errno.EFBIG: "raise the limit of a file's size (ulimit -f)",
    errno.ENOENT: "do not move or remove the folder during a run",
    errno.EACCES: "give yourself the permission to write there",
    errno.EPERM: "give yourself the permission to write there",
    errno.EROFS: "make it writable",
}


def write_error(target: str, error: OSError, what: str) -> WriteError:
    """The sentence for an error of the system while writing ``what`` into a target."""
    remedy = _REMEDIES.get(error.errno or 0, "fix that")
    return WriteError(
        f"{what} could not be written to targetpath={target} ({error.strerror or error}): {remedy}."
    )


def write_all(path: str, data: bytes) -> None:
    """Writes a new file in as many steps as the system needs (a full disk takes a part first)."""
    # A million times: building a Path would cost half as much as creating the file.
    with open(path, "xb", buffering=0) as file:
        written = file.write(data)
        while written < len(data):
            written += file.write(data[written:])


class HashedFile:
    """A new file that knows its size and the SHA-256 of what was written to it."""

    def __init__(self, path: str | Path) -> None:
        self._file = open(path, "xb", buffering=_CHUNK)  # noqa: SIM115, closed below
        self._digest, self.size = sha256(), 0

    def write(self, data: bytes) -> None:
        self._digest.update(data)
        self.size += len(data)
        self._file.write(data)

    def close(self) -> tuple[int, str]:
        """Its size and its digest."""
        self._file.close()
        return self.size, self._digest.hexdigest()


class _Descriptor:
    """An open file, closed when nobody keeps it; reading at an offset needs no position."""

    def __init__(self, path: str) -> None:
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if hasattr(self, "number"):  # os may be gone when Python ends
            close(self.number)


def _details(one: os.DirEntry[str]) -> Details:
    """A file that takes the place of another one has another inode, or was written later."""
    try:
        about = one.stat()
    except OSError:  # a link to nowhere
        return Details(False, None)
    numbers = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
    return Details(one.is_dir(), " ".join(map(str, numbers)), about.st_size)


def _sizes(folder: Path) -> dict[str, int]:
    with os.scandir(folder) as found:
        return {one.name: one.stat().st_size for one in found}


def _parent(name: str) -> str:
    return name.rpartition("/")[0]


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


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
