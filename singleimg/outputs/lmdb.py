"""``lmdb``: one LMDB environment, <target>/train.lmdb, for the whole dataset.

Key: the index in nine digits; value: the bytes of the image file. All shards write to the one file,
so a shard appears by a transaction instead of a rename: that which puts the SHA-256 over its images
under ``shard-<number>``, with the images themselves or the last of them. Of a large shard, which
does not fit in memory, images come before it in transactions of their own, and an empty value of
that key says to whom they belong until then. What the file looks like depends on the order of the
transactions, what it says does not. LMDB maps the file into memory: local disks only.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from singleimg.errors import UserError
from singleimg.outputs.base import Output
from singleimg.outputs.lmdb_environment import (
    FOLDER,
    NETWORKS,
    errors,
    file_system,
    is_readable,
    opened,
    put_all,
    reading,
    writing,
)
from singleimg.storage.base import Store
from singleimg.storage.integrity import Files, compare
from singleimg.storage.manifest import Entry
from singleimg.storage.shards import Shard
from singleimg.storage.staging import Staging

if TYPE_CHECKING:
    from singleimg.drawing.columns import Columns

_SHARD = b"shard-"  # before the number of a shard: the key of its digest
_HELD = 16 << 20  # bytes of images that a writer holds in memory


@dataclass(frozen=True, kw_only=True)
class LmdbOutput(Output):
    """Writes an LMDB environment."""

    name = "lmdb"
    module = "lmdb"
    remote = False
    kept = (f"{FOLDER}/data.mdb", f"{FOLDER}/lock.mdb")
    read_lines = (
        'lmdb.open("train.lmdb", readonly=True, lock=False)  # 000000000 …: image files',
        'singleimg.StoredDataset(".")',
    )

    def place(self, shard: Shard) -> None:
        """None: all shards lie in one file."""

    def owns(self, path: str) -> bool:
        return path in self.kept

    def present(self, store: Store, shards: Sequence[Shard]) -> set[int]:
        target = _folder(store)
        if not (shards and is_readable(target)):
            return set()
        with reading(target) as transaction:
            return {shard.number for shard in shards if transaction.get(_shard_key(shard))}

    def check_place(self, target: Path) -> None:
        """Refuses network file systems."""
        kind = file_system(target)
        if kind.removeprefix("fuse.").startswith(NETWORKS):
            raise UserError(
                f"targetpath={target} is on a network file system ({kind}), where LMDB would "
                "corrupt its own file: type a targetpath on a disk of this machine, or "
                "output=webdataset."
            )

    def clear(self, store: Store, recorded: set[str]) -> None:
        """Removes shards that have no record: a run was killed between its transaction and that."""
        target = _folder(store)
        if not is_readable(target):
            return
        with reading(target) as transaction:
            keys = [key.decode() for key, _ in transaction.cursor() if key.startswith(_SHARD)]
        names = {key.removeprefix(_SHARD.decode()) for key in keys} - recorded
        for name in sorted(names):
            start = int(name) * self.shard_size
            images = [_key(index) for index in range(start, start + self.shard_size)]
            with writing, errors(), opened(target, writes=True).begin(write=True) as transaction:
                for key in (_SHARD + name.encode(), *images):
                    transaction.delete(key)

    def damaged(self, store: Store) -> tuple[str, ...]:
        """The environment, when LMDB cannot read it."""
        there = store.exists(self.kept[0])
        return self.kept if there and not is_readable(_folder(store)) else ()

    def open(self, staging: Staging, shard: Shard, columns: Columns | None = None) -> LmdbWriter:
        """A writer of one shard, whose transaction is a step of the commit."""
        writer = LmdbWriter(_folder(staging.store), shard, staging.store.durable)
        staging.then(writer.commit)
        return writer

    def reader(self, store: Store) -> LmdbReader:
        self.require()
        return LmdbReader(_folder(store))

    def files(self, store: Store) -> LmdbFiles:
        self.require()
        return LmdbFiles(store)


def _folder(store: Store) -> Path:
    if store.local_path is None:
        raise UserError(
            f"targetpath={store} is behind a URL, and output=lmdb lies on disks of this machine "
            "only: copy it to a folder."
        )
    return store.local_path


class LmdbWriter:
    """Writes the images of one shard, and says with the last of them that it is whole."""

    def __init__(self, target: Path, shard: Shard, durable: bool) -> None:
        self._target, self._shard, self._durable = target, shard, durable
        self._images: list[tuple[bytes, bytes]] = []  # that are still to be put
        self._bytes = 0  # of them
        self._total = _Digest()
        self._entries: list[Entry] = []

    def write(self, index: int, data: bytes, drawn: str | None = None) -> None:
        self._images.append((_key(index), data))
        self._bytes += len(data)
        self._total.update(_key(index), data)
        digest = sha256(data).hexdigest()
        self._entries.append(Entry(index, f"{FOLDER}/{index:09d}", len(data), digest))
        if self._bytes >= _HELD:
            self._put(b"")

    def close(self) -> list[Entry]:
        return self._entries

    def commit(self) -> None:
        """Puts the last images and the digest over all of them in one transaction."""
        self._put(self._total.text().encode())

    def _put(self, digest: bytes) -> None:
        rows = [*self._images, (_shard_key(self._shard), digest)]
        with writing, errors():
            (self._target / FOLDER).mkdir(exist_ok=True)
            put_all(opened(self._target, writes=True, durable=self._durable), rows)
        self._images, self._bytes = [], 0


class LmdbReader:
    """Reads images by their keys; opens the environment in each process anew, as LMDB wants it."""

    def __init__(self, target: Path) -> None:
        self._target = target

    def read(self, index: int) -> bytes:
        return self.read_all([index])[0]

    def read_all(self, indices: Sequence[int]) -> list[bytes]:
        with reading(self._target) as transaction:
            found = [transaction.get(_key(index)) for index in indices]
        if None in found:
            raise FileNotFoundError(errno.ENOENT, "no such image", f"{self._target / FOLDER}")
        return found


@dataclass(frozen=True)
class LmdbFiles(Files):
    """Compares values of the environment with the records of a dataset."""

    def exists(self, place: str | None) -> bool:
        return is_readable(_folder(self.store))

    def difference(self, entry: Entry) -> str | None:
        if entry.index is None:  # a file beside the environment
            return super().difference(entry)
        try:
            with reading(_folder(self.store)) as transaction:
                data = transaction.get(_key(entry.index))
        except OSError as error:
            return f"cannot be read ({error.strerror})"
        return "is missing" if data is None else compare([data], entry)

    def shard_difference(self, shard: Shard) -> str | None:
        """Whether the digest that was committed with the images is that of those here."""
        keys = [_key(index) for index in range(shard.start, shard.stop)]
        with reading(_folder(self.store)) as transaction:
            total = _Digest()
            for key in keys:
                total.update(key, transaction.get(key) or b"")
            digest = transaction.get(_shard_key(shard))
        right = digest is not None and digest.decode() == total.text()
        return None if right else f"{FOLDER} has another digest of them"


def _key(index: int) -> bytes:
    return b"%09d" % index


def _shard_key(shard: Shard) -> bytes:
    return _SHARD + shard.name.encode()


class _Digest:
    """SHA-256 over keys and values in order, each value with its length before it."""

    def __init__(self) -> None:
        self._total = sha256()

    def update(self, key: bytes, value: bytes) -> None:
        self._total.update(key + len(value).to_bytes(8, "big"))
        self._total.update(value)

    def text(self) -> str:
        return self._total.hexdigest()
