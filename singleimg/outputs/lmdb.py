"""``lmdb``: one LMDB environment, <target>/train.lmdb, for the whole dataset.

Key: the index in nine digits; value: the bytes of the image file. All shards write to the one file,
so a shard appears by a transaction instead of a rename: its images and, under ``shard-<number>``,
the SHA-256 over them are committed in one. What the file looks like depends on the order of the
transactions, what it says does not. LMDB maps the file into memory: local disks only.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from singleimg.errors import UserError
from singleimg.outputs.base import Output
from singleimg.storage.integrity import LocalFiles, compare
from singleimg.storage.manifest import Entry
from singleimg.storage.shards import Shard
from singleimg.storage.staging import Staging

if TYPE_CHECKING:
    from singleimg.drawing.pipeline import Sample

FOLDER = "train.lmdb"
_SHARD = b"shard-"  # before the number of a shard: the key of its digest
FIRST_MAP = 16 << 20  # bytes; it doubles whenever it is full
_READERS = 1024  # processes and threads that read at once
_NETWORKS = ("nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "sshfs", "afs",
             "9p", "virtiofs", "gcsfuse", "s3fs", "rclone", "juicefs")  # fmt: skip
_writing = Lock()  # a map may grow only while no other thread has a transaction


@dataclass(frozen=True, kw_only=True)
class LmdbOutput(Output):
    """Writes an LMDB environment."""

    name = "lmdb"
    module = "lmdb"
    remote = False
    kept = (f"{FOLDER}/data.mdb", f"{FOLDER}/lock.mdb")

    def place(self, shard: Shard) -> None:
        """None: all shards lie in one file."""

    def owns(self, path: str) -> bool:
        """Whether a file at ``path``, below the target, has a name that this output gives."""
        return path in self.kept

    def present(self, target: Path, shards: Sequence[Shard], disk: Any) -> set[int]:
        """The numbers of those ``shards`` that were committed to the environment."""
        if not (shards and is_readable(target)):
            return set()
        with _reading(target) as transaction:
            return {shard.number for shard in shards if transaction.get(_shard_key(shard))}

    def check_place(self, target: Path) -> None:
        """Refuses network file systems."""
        _check_local(target)

    def clear(self, target: Path, recorded: set[str]) -> None:
        """Removes shards that have no record: a run was killed between its transaction and that."""
        if not is_readable(target):
            return
        with _reading(target) as transaction:
            keys = [key.decode() for key, _ in transaction.cursor() if key.startswith(_SHARD)]
        names = {key.removeprefix(_SHARD.decode()) for key in keys} - recorded
        for name in sorted(names):
            start = int(name) * self.shard_size
            images = [_key(index) for index in range(start, start + self.shard_size)]
            with _writing, _errors(), opened(target, writes=True).begin(write=True) as transaction:
                for key in (_SHARD + name.encode(), *images):
                    transaction.delete(key)

    def harmed(self, target: Path) -> tuple[str, ...]:
        """The environment, when LMDB cannot read it."""
        there = (target / self.kept[0]).exists()
        return self.kept if there and not is_readable(target) else ()

    def open(self, staging: Staging, shard: Shard, columns: Any = None) -> LmdbWriter:
        """A writer of one shard, whose transaction is a step of the commit."""
        writer = LmdbWriter(staging.target, shard, staging.disk.durable)
        staging.then(writer.commit)
        return writer

    def reader(self, target: Path) -> LmdbReader:
        """Who reads single images of a dataset in ``target``."""
        self.require()
        return LmdbReader(target)

    def files(self, target: Path) -> LmdbFiles:
        """Who compares a dataset in ``target`` with its records."""
        self.require()
        return LmdbFiles(target)


class Harmed(OSError):
    """The file of an environment is not what LMDB wrote."""


class LmdbWriter:
    """Holds the images of one shard in memory until they are committed."""

    def __init__(self, target: Path, shard: Shard, durable: bool) -> None:
        self._target, self._shard, self._durable = target, shard, durable
        self._images: list[tuple[bytes, bytes]] = []
        self._entries: list[Entry] = []

    def write(self, index: int, data: bytes, sample: Sample | None = None) -> None:
        """Takes image ``index``."""
        self._images.append((_key(index), data))
        digest = sha256(data).hexdigest()
        self._entries.append(Entry(index, f"{FOLDER}/{index:09d}", len(data), digest))

    def close(self) -> list[Entry]:
        """Ends the shard; the images that it holds."""
        return self._entries

    def commit(self) -> None:
        """Puts all images, and the digest over them, in one transaction."""
        digest = _digest(self._images).encode()
        with _writing, _errors():
            (self._target / FOLDER).mkdir(exist_ok=True)
            put_all(
                opened(self._target, writes=True, durable=self._durable),
                [*self._images, (_shard_key(self._shard), digest)],
            )


def put_all(environment: Any, rows: Sequence[tuple[bytes, bytes]]) -> None:
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


class LmdbReader:
    """Reads images by their keys; opens the environment in each process anew, as LMDB wants it."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def read(self, index: int) -> bytes:
        """The bytes of image ``index``."""
        return self.read_all([index])[0]

    def read_all(self, indices: Sequence[int]) -> list[bytes]:
        """The bytes of several."""
        with _reading(self._target) as transaction:
            found = [transaction.get(_key(index)) for index in indices]
        if None in found:
            raise FileNotFoundError(errno.ENOENT, "no such image", f"{self._target / FOLDER}")
        return found


@dataclass(frozen=True)
class LmdbFiles(LocalFiles):
    """Compares values of the environment with the records of a dataset."""

    def exists(self, place: str | None) -> bool:
        """Whether there is an environment that can be read."""
        return is_readable(self.target)

    def difference(self, entry: Entry) -> str | None:
        """How an image (or a file beside the environment) differs from its entry."""
        if entry.index is None:
            return super().difference(entry)
        try:
            with _reading(self.target) as transaction:
                data = transaction.get(_key(entry.index))
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        return "is missing" if data is None else compare([data], entry)

    def shard_difference(self, shard: Shard) -> str | None:
        """Whether the digest that was committed with the images is that of those here."""
        keys = [_key(index) for index in range(shard.start, shard.stop)]
        with _reading(self.target) as transaction:
            images = [(key, transaction.get(key) or b"") for key in keys]
            digest = transaction.get(_shard_key(shard))
        right = digest is not None and digest.decode() == _digest(images)
        return None if right else f"{FOLDER} has another digest of them"


# --- the environment -----------------------------------------------------------------------------


@dataclass
class _Opened:
    """What this process has open: LMDB allows a file to be open once in a process."""

    process: int
    file: int | None
    writes: bool
    environment: Any


_open: dict[str, _Opened] = {}
_opening = Lock()


def opened(target: Path, *, writes: bool = False, durable: bool = True) -> Any:
    """The environment of a dataset; OSError when its file is harmed."""
    path = str(target / FOLDER)
    with _opening:
        found = _open.get(path)
        if found:
            # One from before a fork is not this process's, one of a file that was overwritten
            # would write to where nobody looks.
            ours = (found.process, found.file) == (os.getpid(), _file(path))
            if ours and (found.writes or not writes):
                return found.environment
            del _open[path]
            found.environment.close()
        environment = _open_environment(path, writes, durable)
        _open[path] = _Opened(os.getpid(), _file(path), writes, environment)
        return environment


def _file(path: str) -> int | None:
    """Which file the environment at ``path`` is, by its inode; None: there is none."""
    try:
        return os.stat(f"{path}/data.mdb").st_ino
    except FileNotFoundError:
        return None


def _open_environment(path: str, writes: bool, durable: bool) -> Any:
    import lmdb

    settings = {"sync": durable, "metasync": durable, "map_size": FIRST_MAP} if writes else {}
    # Where nothing can be written, a reader does without the lock that shields it from writers.
    lock = writes or os.access(path, os.W_OK)
    with _errors():
        environment = lmdb.open(
            path, readonly=not writes, lock=lock, max_readers=_READERS, readahead=False, **settings
        )
        last = environment.info()["last_pgno"]
        pages = os.stat(f"{path}/data.mdb").st_size // environment.stat()["psize"]
        if pages <= last:  # to read what is mapped behind the end of a file ends the process
            environment.close()
            raise Harmed(errno.EIO, f"LMDB: {path}/data.mdb is truncated")
        if lock:
            environment.reader_check()  # frees the slots of processes that were killed
    return environment


def is_readable(target: Path) -> bool:
    """Whether there is an environment that is not harmed; OSError when it cannot be opened."""
    if not (target / FOLDER / "data.mdb").exists():
        return False
    try:
        opened(target)
    except Harmed:
        return False
    return True


@contextmanager
def _reading(target: Path) -> Iterator[Any]:
    import lmdb

    with _errors():
        environment = opened(target)
        try:
            transaction = environment.begin()
        except lmdb.MapResizedError:
            environment.set_mapsize(0)
            transaction = environment.begin()
        with transaction:
            yield transaction


def _key(index: int) -> bytes:
    return b"%09d" % index


def _shard_key(shard: Shard) -> bytes:
    return _SHARD + shard.name.encode()


def _digest(images: Sequence[tuple[bytes, bytes]]) -> str:
    """SHA-256 over keys and values in order, each value with its length before it."""
    total = sha256()
    for key, value in images:
        total.update(key + len(value).to_bytes(8, "big"))
        total.update(value)
    return total.hexdigest()


@contextmanager
def _errors() -> Iterator[None]:
    """Turns errors of LMDB into those of the system, which have sentences already."""
    import lmdb

    try:
        yield
    except (lmdb.InvalidError, lmdb.CorruptedError) as error:
        what = f"LMDB: {error}; its file is harmed: remove the folder {FOLDER} to have it made anew"
        raise Harmed(errno.EIO, what) from error
    except lmdb.DiskError as error:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
    except lmdb.Error as error:
        raise OSError(errno.EIO, f"LMDB: {error}") from error


def _check_local(target: Path) -> None:
    kind = file_system(target)
    if kind.removeprefix("fuse.").startswith(_NETWORKS):
        raise UserError(
            f"targetpath={target} lies on a network ({kind}), where LMDB would harm its own file: "
            "type a targetpath on a disk of this machine, or output=webdataset."
        )


def file_system(path: Path, mounts: Callable[[], str] | None = None) -> str:
    """The kind of file system that ``path`` lies on; empty where that cannot be told."""
    try:
        text = mounts() if mounts else Path("/proc/self/mounts").read_text()
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
