"""Bytes out of a dataset: single images at random, and whole files against their records.

Where an image lies its shard's record says: in which file, from which byte on, how many. So images
of every format but LMDB are read by one and the same way, without the library of the format.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from singleimg.storage.manifest import DamagedRecord, Manifest, parse_entries, parse_record
from singleimg.storage.resolve import disk_of, is_local
from singleimg.storage.shards import Shard

_OPEN = 256  # files that a reader keeps open


class Reader(Protocol):
    """Reads images of one dataset."""

    def read(self, index: int) -> bytes:
        """The bytes of image ``index``."""

    def read_all(self, indices: Sequence[int]) -> list[bytes]:
        """The bytes of several, at once where that is faster."""


class FileReader:
    """Reads images that are files; ``file`` gives the path of each below the target."""

    def __init__(self, target: Path, file: Callable[[int], str]) -> None:
        self._target, self._file = target, file

    def read(self, index: int) -> bytes:
        """The bytes of image ``index``."""
        with open(f"{self._target}/{self._file(index)}", "rb", buffering=0) as file:
            return file.read()

    def read_all(self, indices: Sequence[int]) -> list[bytes]:
        """The bytes of several."""
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

    def __init__(self, target: Path, shard_size: int) -> None:
        self._target, self._shard_size = target, shard_size
        self._manifest = Manifest(target, disk_of(target))
        self._shards: dict[int, _Parts] = {}
        # Of its own: a dataset that was replaced since has other files under the same names.
        self._opened = lru_cache(maxsize=_OPEN)(_Descriptor)

    def __reduce__(self) -> tuple[type[PartReader], tuple[Path, int]]:
        return PartReader, (self._target, self._shard_size)

    def read(self, index: int) -> bytes:
        """The bytes of image ``index``."""
        return self.read_all([index])[0]

    def read_all(self, indices: Sequence[int]) -> list[bytes]:
        """The bytes of several; of a URL all at once."""
        places = [self._locate(index) for index in indices]
        if is_local(self._target):
            return [self._part(*place) for place in places]
        from singleimg.storage.remote import ranges

        return ranges(self._target, places)

    def _part(self, place: str, offset: int, size: int) -> bytes:
        path = f"{self._target}/{place}"
        file = self._opened(path)  # held, lest it be closed when another thread opens many
        return whole_part(os.pread(file.number, size, offset), path, size)

    def _locate(self, index: int) -> tuple[str, int, int]:
        number, place = divmod(index, self._shard_size)
        parts = self._shards.get(number)
        if parts is None:
            parts = self._shards[number] = self._load(number)
        return (
            parts.files[parts.which[place]],
            int(parts.offsets[place]),
            int(parts.sizes[place]),
        )

    def _load(self, number: int) -> _Parts:
        file = self._manifest.file(Shard(number, 0, 0))
        data = self._manifest.disk.read(file) or b""
        record = parse_record(file, data)
        entries = [entry for entry in parse_entries(file, data) if entry.index is not None]
        indices = [entry.index for entry in entries]
        numbers = [number for entry in entries for number in (entry.bytes, entry.offset)]
        if indices != list(range(record.start, record.stop)) or not all(map(_is_size, numbers)):
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


def whole_part(data: bytes, path: str, size: int) -> bytes:
    """``data``, if they are as long as their record says; OSError otherwise."""
    if len(data) != size:
        raise OSError(f"{path} is shorter than its record says")
    return data


class _Descriptor:
    """An open file, closed when nobody keeps it; reading at an offset needs no position."""

    def __init__(self, path: str) -> None:
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if hasattr(self, "number"):  # os may be gone when Python ends
            close(self.number)
