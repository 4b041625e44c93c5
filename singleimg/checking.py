"""One committed shard against its record, byte by byte. Imports next to nothing: it starts fast."""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from singleimg.manifest import DamagedRecord, Entry, Manifest, Shard, read_entries, read_record

_CHUNK = 1 << 20  # bytes


class Problem(NamedTuple):
    """One thing that is not as it was committed; ``images`` says which, for people."""

    shard: int | None
    images: str
    path: str
    what: str
    foreign: bool = False

    def __str__(self) -> str:
        return f"{self.images}: {self.path} {self.what}".removeprefix(": ")


@dataclass(frozen=True)
class Check:
    """A shard to check: ``place`` is its file or folder below ``target``."""

    target: Path
    shard: Shard
    place: str
    fingerprint: str


def check_shard(check: Check) -> list[Problem]:
    """What is wrong with one shard: its record, its files, files that are too many."""
    shard, record = check.shard, Manifest(check.target).file(check.shard)
    number, images = shard.number, _range(shard)
    name = record.relative_to(check.target).as_posix()
    try:
        found, entries = read_record(record), list(read_entries(record))
    except FileNotFoundError:
        return [Problem(number, images, name, "(the record) is missing")]
    except (DamagedRecord, OSError):
        return [Problem(number, images, name, "(the record) is altered")]
    if found.shard != shard or found.fingerprint != check.fingerprint:
        return [Problem(number, images, name, "(the record) is of another shard or recipe")]
    if not (check.target / check.place).exists():
        return [Problem(number, images, check.place, "is missing")]
    return [
        *(problem for entry in entries if (problem := _check_file(check, entry))),
        *_foreign(check, entries),
    ]


def _check_file(check: Check, entry: Entry) -> Problem | None:
    what = _difference(f"{check.target}/{entry.path}", entry)
    if what is None:
        return None
    images = _range(check.shard) if entry.index is None else f"image {entry.index}"
    return Problem(check.shard.number, images, entry.path, what)


def _difference(path: str, entry: Entry) -> str | None:
    """A few system calls a file: at a million of them each counts."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    try:
        data = os.read(descriptor, _CHUNK)
        digest, size = sha256(data), len(data)
        while data and size % _CHUNK == 0:
            data = os.read(descriptor, _CHUNK)
            digest.update(data)
            size += len(data)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    finally:
        os.close(descriptor)
    if size < entry.bytes:
        return f"is truncated ({size:,} of {entry.bytes:,} bytes)"
    return None if digest.hexdigest() == entry.sha256 else "is altered"


def _foreign(check: Check, entries: list[Entry]) -> list[Problem]:
    if not os.path.isdir(check.target / check.place):
        return []
    names = {PurePosixPath(entry.path).name for entry in entries}
    return [
        foreign_file(f"{check.place}/{name}")
        for name in sorted(os.listdir(check.target / check.place))
        if name not in names
    ]


def foreign_file(path: str) -> Problem:
    """A file or folder among the data that nobody committed."""
    return Problem(None, "", path, "is foreign (no record lists it)", foreign=True)


def _range(shard: Shard) -> str:
    return f"images {shard.start} … {shard.stop - 1}"
