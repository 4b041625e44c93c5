"""Single images out of a dataset, at random.

Where an image lies its shard's record says: in which file, from which byte on, how many. So images
of every format but LMDB are read by one and the same way, without the library of the format.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from singleimg.storage.base import Range, Store
from singleimg.storage.manifest import DamagedRecord, Manifest, record_place
from singleimg.storage.shards import Shard


class Reader(Protocol):
    """Reads images of one dataset.

    Raises FileNotFoundError, DamagedFile or DamagedRecord where one is not as it was committed.
    """

    def read(self, index: int) -> bytes:
        """The bytes of image ``index``."""

    def read_all(self, indices: Sequence[int]) -> list[bytes]:
        """The bytes of several, at once where that is faster."""


class FileReader:
    """Reads images that are files; ``file`` gives the name of each in the ``store``."""

    def __init__(self, store: Store, file: Callable[[int], str]) -> None:
        self._store, self._file = store, file

    def read(self, index: int) -> bytes:
        name = self._file(index)
        data = self._store.read(name)
        if data is None:
            path = self._store.path_of(name)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return data

    def read_all(self, indices: Sequence[int]) -> list[bytes]:
        return [self.read(index) for index in indices]


class _Parts(NamedTuple):
    """Where the images of a shard lie: 20 bytes an image, since a dataset has millions."""

    files: list[str]
    which: np.ndarray  # int32: places in files
    offsets: np.ndarray  # int64
    sizes: np.ndarray  # int64


class PartReader:
    """Reads images that are parts of files; the records of shards are read when first needed.

    Small to pickle: each process reads records and opens files for itself.
    """

    def __init__(self, store: Store, shard_size: int) -> None:
        self._store, self._shard_size = store, shard_size
        self._shards: dict[int, _Parts] = {}
        self._ranges = store.open_ranges()

    def __reduce__(self) -> tuple[type[PartReader], tuple[Store, int]]:
        return PartReader, (self._store, self._shard_size)

    def read(self, index: int) -> bytes:
        return self.read_all([index])[0]

    def read_all(self, indices: Sequence[int]) -> list[bytes]:
        return self._ranges([self._locate(index) for index in indices])

    def _locate(self, index: int) -> Range:
        number, place = divmod(index, self._shard_size)
        parts = self._shards.get(number)
        if parts is None:
            parts = self._shards[number] = self._load(number)
        return Range(
            parts.files[parts.which[place]], int(parts.offsets[place]), int(parts.sizes[place])
        )

    def _load(self, number: int) -> _Parts:
        shard = Shard(number, 0, 0)
        record, listed = Manifest(self._store).load(shard)
        entries = [entry for entry in listed if entry.index is not None]
        indices = [entry.index for entry in entries]
        numbers = [number for entry in entries for number in (entry.bytes, entry.offset)]
        if indices != list(range(record.start, record.stop)) or not all(map(_is_size, numbers)):
            file = self._store.path_of(record_place(shard))
            raise DamagedRecord(f"{file} does not list its images")
        files = list(dict.fromkeys(entry.path for entry in entries))
        return _Parts(
            files,
            np.array([files.index(entry.path) for entry in entries], np.int32),
            np.array([entry.offset or 0 for entry in entries], np.int64),
            np.array([entry.bytes for entry in entries], np.int64),
        )


def _is_size(number: Any) -> bool:
    return type(number) is int and 0 <= number < 1 << 48
