"""The LMDB environment of a dataset: opened once in a process, read, written, checked for damage.

LMDB allows a file to be open once in a process, by whichever path: so what is open is known by
device and inode.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, RLock
from typing import TYPE_CHECKING

from singleimg.storage.base import DamagedFile

if TYPE_CHECKING:
    import lmdb

FOLDER = "train.lmdb"
FIRST_MAP = 16 << 20  # bytes; it doubles whenever it is full
NETWORKS = ("nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "sshfs", "afs",
            "9p", "virtiofs", "gcsfuse", "s3fs", "rclone", "juicefs")  # fmt: skip
_READERS = 1024  # processes and threads that read at once


class DamagedEnvironment(DamagedFile):
    """The file of an environment is not what LMDB wrote."""


@dataclass
class _Opened:
    """What this process has open, and by which path it came."""

    process: int
    path: str
    writes: bool
    environment: lmdb.Environment


_open: dict[tuple[int, int], _Opened] = {}  # by device and inode
_opening = RLock()  # a signal may come before it is given back
writing = Lock()  # a map may grow only while no other thread has a transaction


def opened(target: Path, *, writes: bool = False, durable: bool = True) -> lmdb.Environment:
    """The environment of the dataset in a folder, however its path is written.

    ``writes``: made when missing. Raises DamagedEnvironment, or OSError when it cannot be opened
    for another reason.
    """
    path = os.path.abspath(target / FOLDER)
    with _opening:
        file = _file(path)
        found = None if file is None else _open.get(file)
        if found and found.process == os.getpid() and (found.writes or not writes):
            return found.environment
        for key, one in list(_open.items()):
            # It only reads, or is from before a fork and so not this process's; or its file was
            # overwritten, and nobody looks there.
            if one is found or _file(one.path) != key:
                del _open[key]
                one.environment.close()
        environment = _open_environment(path, writes, durable)
        if (made := _file(path)) is not None:
            _open[made] = _Opened(os.getpid(), path, writes, environment)
        return environment


def _file(path: str) -> tuple[int, int] | None:
    """Which file the environment at ``path`` is, by device and inode; None: there is none."""
    try:
        about = os.stat(f"{path}/data.mdb")
    except (FileNotFoundError, NotADirectoryError):
        return None
    return about.st_dev, about.st_ino


def _open_environment(path: str, writes: bool, durable: bool) -> lmdb.Environment:
    import lmdb

    settings = {"sync": durable, "metasync": durable, "map_size": FIRST_MAP} if writes else {}
    # Where nothing can be written, a reader does without the lock that shields it from writers.
    lock = writes or os.access(path, os.W_OK)
    with errors():
        environment = lmdb.open(
            path, readonly=not writes, lock=lock, max_readers=_READERS, readahead=False,
            mode=0o777, **settings,  # as the umask allows, like all other files
        )  # fmt: skip
        last = environment.info()["last_pgno"]
        pages = os.stat(f"{path}/data.mdb").st_size // environment.stat()["psize"]
        if pages <= last:  # to read what is mapped behind the end of a file ends the process
            environment.close()
            raise DamagedEnvironment(errno.EIO, f"LMDB: {path}/data.mdb is truncated")
        if lock:
            environment.reader_check()  # frees the slots of processes that were killed
    return environment


def is_readable(target: Path) -> bool:
    """Whether there is an environment that is not damaged; OSError when it cannot be opened."""
    if not (target / FOLDER / "data.mdb").exists():
        return False
    try:
        opened(target)
    except DamagedEnvironment:
        return False
    return True


@contextmanager
def reading(target: Path) -> Iterator[lmdb.Transaction]:
    """A transaction that reads."""
    import lmdb

    with errors():
        environment = opened(target)
        try:
            transaction = environment.begin()
        except lmdb.MapResizedError:
            environment.set_mapsize(0)
            transaction = environment.begin()
        with transaction:
            yield transaction


def put_all(environment: lmdb.Environment, rows: Sequence[tuple[bytes, bytes]]) -> None:
    """Puts keys and values in one transaction; the map grows until they fit in it.

    Other processes may write too: each waits for its turn, and takes over the map of another.
    """
    import lmdb

    while True:
        try:
            with environment.begin(write=True) as transaction:
                for key, value in rows:
                    transaction.put(key, value)
            return
        except lmdb.MapFullError:
            environment.set_mapsize(2 * environment.info()["map_size"])
        except lmdb.MapResizedError:
            environment.set_mapsize(0)  # as large as the other process made it


@contextmanager
def errors() -> Iterator[None]:
    """Turns errors of LMDB into those of the system, which have sentences already."""
    import lmdb

    try:
        yield
    except (lmdb.InvalidError, lmdb.CorruptedError) as error:
        what = f"LMDB: {error}; its file is corrupted: remove the folder {FOLDER} to make it again"
        raise DamagedEnvironment(errno.EIO, what) from error
    except lmdb.DiskError as error:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
    except lmdb.Error as error:
        raise OSError(errno.EIO, f"LMDB: {error}") from error


def file_system(path: Path, mounts: Callable[[], str] | None = None) -> str:
    """The kind of file system that ``path`` lies on; empty where that cannot be told."""
    try:
        text = mounts() if mounts else Path("/proc/self/mounts").read_text(encoding="utf-8")
    except OSError:
        return ""
    place, kind = path.resolve(), ""
    longest = -1
    for line in text.splitlines():
        _, point, name, *_ = line.split()
        mounted = Path(point.replace("\\040", " "))
        if (mounted == place or mounted in place.parents) and len(mounted.parts) >= longest:
            longest, kind = len(mounted.parts), name
    return kind
