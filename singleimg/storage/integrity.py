"""One committed shard against its record, byte by byte. Imports next to nothing: it starts fast."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import NamedTuple

from singleimg.storage.base import Store
from singleimg.storage.manifest import (
    DamagedRecord,
    Entry,
    parse_entries,
    parse_record,
    record_place,
)
from singleimg.storage.shards import Shard


@dataclass(frozen=True)
class Files:
    """Compares the files of one dataset with their records; travels to other processes."""

    store: Store

    def exists(self, place: str | None) -> bool:
        """Whether the file or folder of a shard is there; None: it has none of its own."""
        return place is not None and self.store.exists(place)

    def names(self, place: str) -> list[str]:
        """What lies in a folder, sorted; nothing when it is none."""
        return sorted(self.store.names(place)) if self.store.is_folder(place) else []

    def difference(self, entry: Entry) -> str | None:
        """How a file, or an image in it, differs from its entry; None when it does not."""
        part = None if entry.offset is None else (entry.offset, entry.bytes)
        try:
            return compare(self.store.chunks(entry.path, part), entry)
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"cannot be read ({error.strerror})"

    def shard_difference(self, shard: Shard) -> str | None:
        """What else is wrong with a shard as a whole; None where files are all that there is."""
        return None


def compare(chunks: Iterable[bytes], entry: Entry) -> str | None:
    """How the bytes of a file or an image differ from its entry."""
    digest, size = sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
    if size < entry.bytes:
        return f"is truncated ({size:,} of {entry.bytes:,} bytes)"
    return None if digest.hexdigest() == entry.sha256 else "is altered"


def file_name(entry: Entry) -> str:
    """The last part of an entry's path."""
    return PurePosixPath(entry.path).name


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
    """A shard to check: ``place`` is its file or folder (None: it has none) of ``files``."""

    files: Files
    shard: Shard
    place: str | None
    fingerprint: str


def check_shard(check: Check) -> list[Problem]:
    """What is wrong with one shard: its record, its files, files that are too many."""
    shard, store = check.shard, check.files.store
    name = record_place(shard)
    bad = lambda path, what: [Problem(shard.number, _range(shard), path, what)]  # noqa: E731
    data = store.read(name)
    if data is None:
        return bad(name, "(the record) is missing")
    try:
        found, entries = parse_record(name, data), list(parse_entries(name, data))
    except DamagedRecord:
        return bad(name, "(the record) is altered")
    if found.shard != shard or found.fingerprint != check.fingerprint:
        return bad(name, "(the record) is of another shard or recipe")
    if not check.files.exists(check.place):
        return bad(check.place or entries[0].path, "is missing")
    problems = [*_differences(check, entries), *_foreign(check, entries)]
    whole = None if problems else check.files.shard_difference(shard)
    return problems if whole is None else bad(name, f"is false: {whole}")


def _differences(check: Check, entries: list[Entry]) -> Iterator[Problem]:
    """Files and images that are not as they were; of a file that is altered, which images."""
    parts: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.offset is not None:
            parts.setdefault(entry.path, []).append(entry)
    for entry in entries:
        what = check.files.difference(entry) if entry.offset is None else None
        if what is None:
            continue
        images = parts.get(entry.path, []) if what == "is altered" else []
        altered = [part for part in images if check.files.difference(part)]
        for one in altered or [entry]:
            images_of = _range(check.shard) if one.index is None else f"image {one.index}"
            yield Problem(check.shard.number, images_of, entry.path, what)


def _foreign(check: Check, entries: list[Entry]) -> list[Problem]:
    names = {file_name(entry) for entry in entries}
    return [
        foreign_file(f"{check.place}/{name}")
        for name in (check.files.names(check.place) if check.place else ())
        if name not in names
    ]


def foreign_file(path: str) -> Problem:
    """A file or folder among the data that nobody committed."""
    return Problem(None, "", path, "is foreign (no record lists it)", foreign=True)


def _range(shard: Shard) -> str:
    return f"images {shard.start} … {shard.stop - 1}"
