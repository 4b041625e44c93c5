"""What is committed of a dataset: one record a shard.

The order of a commit, and why:

1. Every file of the shard, its record too, is written below one temporary folder in the target
   (``.tmp-<shard>-…``), where no reader looks. (What several workers make of it lies in parts
   before: see ``singleimg.jobs.parts``.)
2. They are made durable at once: names must not reach the disk before the bytes that they name.
3. The data appear in their place by one rename, and the folder that now names them is made durable.
   A reader sees the whole shard or nothing of it.
4. The record appears by one rename. It comes after the data, so a record never speaks of what is
   not whole; data without a record are leftovers, and are rendered again.
5. ``dataset.json`` comes last, when every shard has a record.

What takes something back goes the other way: first ``dataset.json``, then the record, then data.

A record is a text of JSON lines: the SHA-256 of the second one; the shard, with bytes and SHA-256
of the lines that follow; then a line for each file and each image: index (null: not of one image),
path below the target, bytes, SHA-256, and where an image is a part of its file, at which byte of
it. So its first two lines, of a few hundred bytes, are enough to know what is committed: the lines
of images, a hundred bytes for each, are read only where they are wanted. In records of earlier
versions the first line is the SHA-256 of all that follows.

Where the target is a URL (``singleimg.storage.remote``) the temporary folder is a local one, and an
upload, which a store shows whole or not at all, takes the place of each rename.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from singleimg.storage.base import Store
from singleimg.storage.shards import Shard

FOLDER = "manifest"
_HEAD = 4096  # bytes, in which the first two lines of a record find room


class Entry(NamedTuple):
    """A file of a shard, or an image: its index (None: not of one image), path, bytes, SHA-256.

    ``offset``: where in the file the image begins, when it is a part of it.
    """

    index: int | None
    path: str
    bytes: int
    sha256: str
    offset: int | None = None


@dataclass(frozen=True)
class Record:
    """What was committed of one shard: its range, bytes of its images, recipe and versions.

    lines, digest: bytes and SHA-256 of the lines that list its files and images.
    """

    number: int
    start: int
    stop: int
    bytes: int
    fingerprint: str
    made_with: dict[str, str]
    lines: int = field(default=0, compare=False)
    digest: str = field(default="", compare=False)

    @property
    def shard(self) -> Shard:
        return Shard(self.number, self.start, self.stop)


class DamagedRecord(ValueError):
    """A record that is not what was written."""


class Scan(NamedTuple):
    """The records that are whole, in order, and the names of those that are not."""

    records: list[Record]
    damaged: list[str]


class _Known(NamedTuple):
    """What is kept of a record that was read, as long as a listing gives it the same version."""

    version: str | None
    record: Record | None  # None: damaged


class Manifest:
    """The records of one dataset, of which each is read once: again only when it was written anew.

    ``folder``: where they lie in the ``store``.
    """

    def __init__(self, store: Store, folder: str = FOLDER) -> None:
        self.store, self.folder = store, folder
        self._known: dict[str, _Known] = {}  # by name, in order

    def names(self) -> list[str]:
        """The names of what look like records, in order: no more is known of them."""
        return [f"{self.folder}/{name}" for name in _in_order(self.store.names(self.folder))]

    def scan(self) -> Scan:
        """All records, as they are now: a listing, and those that are new or were written anew."""
        listed = self.store.details(self.folder)
        about = {f"{self.folder}/{name}": listed[name] for name in _in_order(listed)}
        before, self._known = self._known, {}
        for name, (_, version, _) in about.items():
            known = before.get(name)
            if known is not None and version is not None and known.version == version:
                self._known[name] = known
        unread = [name for name in about if name not in self._known]
        whole = []  # of which the beginning does not say enough
        for name, data in zip(unread, self.store.read_all(unread, _HEAD), strict=True):
            self._known[name] = _Known(about[name].version, None)
            with suppress(DamagedRecord):
                record = parse_head(self.store.path_of(name), data or b"", about[name].size)
                self._known[name] = _Known(about[name].version, record)
                whole += [name] if record is None else []
        for name, data in zip(whole, self.store.read_all(whole), strict=True):
            with suppress(DamagedRecord):
                record = parse_record(self.store.path_of(name), data or b"")
                self._known[name] = _Known(about[name].version, record)
        self._known = {name: self._known[name] for name in about}
        records = [one.record for one in self._known.values() if one.record is not None]
        return Scan(records, [name for name, one in self._known.items() if one.record is None])

    def digest(self) -> str:
        """SHA-256 over those of all shards: one number for all files of the dataset.

        As the last scan found them.
        """
        if not self._known:
            self.scan()
        total = sha256()
        for _, record in self._known.values():
            if record is not None:
                total.update(f"{record.digest}\n".encode())
        return total.hexdigest()

    def former_digest(self) -> str:
        """The same as versions did it that had no digest of a shard: reads all records."""
        total = sha256()
        for data in self.store.read_all(self.names()):
            total.update(_parts(data or b"")[2])
        return total.hexdigest()

    def load(self, shard: Shard) -> tuple[Record, list[Entry]]:
        """The record of one shard, and what it lists; DamagedRecord where it is not whole."""
        name = record_place(shard)
        path, data = self.store.path_of(name), self.store.read(name) or b""
        return parse_record(path, data), list(parse_entries(path, data))

    def remove(self, shards: Iterable[Shard]) -> None:
        """Takes the records of ``shards`` back."""
        for shard in shards:
            self.store.remove(record_place(shard))


def _in_order(names: Iterable[str]) -> list[str]:
    """Those of ``names`` that a record may have, by their numbers."""
    numbered = [name for name in names if name.endswith(".jsonl") and name[:-6].isdecimal()]
    return sorted(numbered, key=lambda name: int(name[:-6]))


def record_place(shard: Shard) -> str:
    """The name of a shard's record."""
    return f"{FOLDER}/{shard.name}.jsonl"


def record_text(record: Record, entries: Iterable[Entry]) -> str:
    """The text of a record's file."""
    quoted = lru_cache(maxsize=2)(json.dumps)  # a shard may lie in one file
    lines = "".join(
        # As json.dumps would have it, in a tenth of the time: there are a hundred million.
        f"[{'null' if index is None else index}, {quoted(path)}, {size}, {json.dumps(digest)}"
        f"{'' if offset is None else f', {offset}'}]\n"  # files have none
        for index, path, size, digest, offset in entries
    ).encode()
    record = replace(record, lines=len(lines), digest=sha256(lines).hexdigest())
    head = json.dumps(asdict(record))
    return f"{_check(head.encode())}\n{head}\n{lines.decode()}"


def parse_record(file: str, data: bytes) -> Record:
    """The shard in the bytes of a record (``file`` is its path or URL), or DamagedRecord."""
    record = parse_head(file, data, len(data))
    check, head, lines = _parts(data)
    digest = sha256(lines).hexdigest()
    if record is None:  # of a former version
        if check.decode(errors="replace") != _check(head + b"\n" + lines):
            raise DamagedRecord(f"{file} is not what was written")
        record = replace(_record(file, head), lines=len(lines), digest=digest)
    if record.digest != digest:
        raise DamagedRecord(f"{file} is not what was written")
    return record


def parse_head(file: str, data: bytes, size: int | None) -> Record | None:
    """The shard in the first bytes of a record of ``size`` bytes; None where that takes all of it.

    Raises DamagedRecord.
    """
    check, head, _ = _parts(data)
    if size is None or check.decode(errors="replace") != _check(head):
        return None
    record = _record(file, head)
    if len(check) + len(head) + 2 + record.lines != size:
        raise DamagedRecord(f"{file} is not what was written")
    return record


def parse_entries(file: str, data: bytes) -> Iterator[Entry]:
    """The files and images that a record lists; DamagedRecord where it lists something else."""
    for line in _parts(data)[2].splitlines():
        try:
            entry = Entry(*json.loads(line))
        except (ValueError, TypeError):
            raise DamagedRecord(f"{file} lists {line!r}") from None
        if not is_inside(entry.path):
            raise DamagedRecord(f"{file} lists {entry.path}")
        yield entry


def is_inside(path: Any) -> bool:
    """Whether a path in a record stays below the target."""
    parts = PurePosixPath(path).parts if isinstance(path, str) else ()
    return len(parts) > 1 and not path.startswith("/") and ".." not in parts and "\0" not in path


def _check(data: bytes) -> str:
    return json.dumps({"sha256": sha256(data).hexdigest()})


def _record(file: str, head: bytes) -> Record:
    try:
        record = Record(**json.loads(head))
    except (ValueError, TypeError) as error:
        raise DamagedRecord(f"{file} is no record ({error})") from None
    if record.shard.name != PurePosixPath(file).stem:
        raise DamagedRecord(f"{file} is the record of another shard, {record.shard.name}")
    return record


def _parts(data: bytes) -> tuple[bytes, bytes, bytes]:
    """The check, the shard's line, the lines of its files."""
    check, _, body = data.partition(b"\n")
    head, _, entries = body.partition(b"\n")
    return check, head, entries
