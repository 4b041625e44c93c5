"""One committed shard against its record, byte by byte. Imports next to nothing: it starts fast."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from singleimg.durable import disk_of
from singleimg.manifest import (
    FOLDER,
    DamagedRecord,
    Entry,
    Manifest,
    Shard,
    parse_entries,
    parse_record,
)
from singleimg.reading import Files, file_name


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
    shard, target = check.shard, check.files.target
    file = Manifest(target).file(shard)
    name = f"{FOLDER}/{file.name}"
    bad = lambda path, what: [Problem(shard.number, _range(shard), path, what)]  # noqa: E731
    data = disk_of(target).read(file)
    if data is None:
        return bad(name, "(the record) is missing")
    try:
        found, entries = parse_record(file, data), list(parse_entries(file, data))
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
