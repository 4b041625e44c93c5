"""What is committed of a dataset: one record a shard.

The order of a commit, and why:

1. Every file of the shard, its record too, is written below one temporary folder in the target
   (``.tmp-<shard>-…``), where no reader looks.
2. They are made durable at once: names must not reach the disk before the bytes that they name.
3. The data appear in their place by one rename, and the folder that now names them is made durable.
   A reader sees the whole shard or nothing of it.
4. The record appears by one rename. It comes after the data, so a record never speaks of what is
   not whole; data without a record are leftovers, and are rendered again.
5. ``dataset.json`` comes last, when every shard has a record.

What takes something back goes the other way: first ``dataset.json``, then the record, then data.

A record is a text of JSON lines: the SHA-256 of all that follows, the shard, then a line for each
file and each image: index (null: not of one image), path below the target, bytes, SHA-256, and
where an image is a part of its file, at which byte of it.

Where the target is a URL (``singleimg.storage.remote``) the temporary folder is a local one, and an
upload, which a store shows whole or not at all, takes the place of each rename.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from singleimg.storage.local import Disk
from singleimg.storage.shards import Shard

FOLDER = "manifest"


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
    """What was committed of one shard: its range, bytes of its images, recipe and versions."""

    number: int
    start: int
    stop: int
    bytes: int
    fingerprint: str
    made_with: dict[str, str]

    @property
    def shard(self) -> Shard:
        return Shard(self.number, self.start, self.stop)


class DamagedRecord(ValueError):
    """A record that is not what was written."""


class Manifest:
    """The records below one target folder."""

    def __init__(self, target: Path, disk: Disk = Disk(), folder: str = FOLDER) -> None:  # noqa: B008
        self.target, self.disk = target, disk
        self.folder = target / folder

    def file(self, shard: Shard) -> Path:
        """Where the record of a shard lies, or would."""
        return self.target / record_place(shard)

    def files(self) -> list[Path]:
        """The files that look like records, in order."""
        names = self.disk.names(self.folder)
        numbered = [name for name in names if name.endswith(".jsonl") and name[:-6].isdecimal()]
        return [self.folder / name for name in sorted(numbered, key=lambda name: int(name[:-6]))]

    def scan(self) -> tuple[list[Record], list[Path]]:
        """The records that are whole, in order, and the files of those that are not."""
        records, damaged = [], []
        files = self.files()
        for file, data in zip(files, self.disk.read_all(files), strict=True):
            try:
                records.append(parse_record(file, data))
            except DamagedRecord:
                damaged.append(file)
        return records, damaged

    def remove(self, shards: Iterable[Shard]) -> None:
        """Takes the records of ``shards`` back."""
        for shard in shards:
            self.disk.remove(self.file(shard))

    def digest(self) -> str:
        """SHA-256 over the lines of all files of all shards: one number for the whole dataset."""
        total = sha256()
        for data in self.disk.read_all(self.files()):
            total.update(_parts(data or b"")[2])
        return total.hexdigest()

    def entries(self) -> Iterator[Entry]:
        """All files and images of all shards, in order; DamagedRecord where a record is harmed."""
        files = self.files()
        for file, data in zip(files, self.disk.read_all(files), strict=True):
            parse_record(file, data)
            yield from parse_entries(file, data)


def record_place(shard: Shard) -> str:
    return f"{FOLDER}/{shard.name}.jsonl"


def record_text(record: Record, entries: Iterable[Entry]) -> str:
    """The text of a record's file."""
    whole = len(Entry._fields) - 1  # without an offset, of which files have none
    rows = (entry if entry.offset is not None else entry[:whole] for entry in entries)
    lines = [json.dumps(asdict(record)), *map(json.dumps, rows)]
    body = "\n".join(lines) + "\n"
    return json.dumps({"sha256": sha256(body.encode()).hexdigest()}) + "\n" + body


def read_record(file: Path) -> Record:
    """The shard in a record's file; DamagedRecord when the file is not what was written."""
    return parse_record(file, file.read_bytes())


def parse_record(file: Path, data: bytes | None) -> Record:
    """The same of the bytes of a record's ``file`` (None: it cannot be read)."""
    check, head, entries = _parts(data or b"")
    found = sha256(head + b"\n" + entries).hexdigest()
    if check != json.dumps({"sha256": found}).encode():
        raise DamagedRecord(f"{file} is not what was written")
    record = _record(file, head)
    if record.shard.name != file.stem:
        raise DamagedRecord(f"{file} is the record of another shard, {record.shard.name}")
    return record


def read_entries(file: Path) -> Iterator[Entry]:
    """The files and images that a record lists; DamagedRecord where it lists something else."""
    yield from parse_entries(file, file.read_bytes())


def parse_entries(file: Path, data: bytes) -> Iterator[Entry]:
    """The same of the bytes of a record's ``file``."""
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


def _record(file: Path, head: bytes) -> Record:
    try:
        return Record(**json.loads(head))
    except (ValueError, TypeError) as error:
        raise DamagedRecord(f"{file} is no record ({error})") from None


def _parts(data: bytes) -> tuple[bytes, bytes, bytes]:
    """The check, the shard's line, the lines of its files."""
    check, _, body = data.partition(b"\n")
    head, _, entries = body.partition(b"\n")
    return check, head, entries
