"""What is left of a chunk until its shard is assembled: its images in a file, whole or not there.

Where a shard is made by several workers, each leaves a part for each of its chunks in
``<target>/.parts/<shard>-<key>/<start>-<stop>.part`` (for a target behind a URL in the run's own
folder, on a disk of this machine). The key stands for the recipe and all versions, so that a part
of another run is used if, and only if, this run would make the same bytes. A part holds data alone,
nothing that could be executed; numbers have eight bytes, the least significant first:

    ``MAGIC``, the length of the header
    the header, JSON: key, shard, start, stop, the sizes of files, the sizes of texts or null
    the image files in order; then, where draws are kept, the texts of ``Output.drawn`` in order
    the length of all that comes before, and its SHA-256 (32 bytes)

Nothing waits until a part is durable: what a power cut leaves of one does not fit its end, and is
removed.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from singleimg.storage.local import write_all
from singleimg.storage.shards import WHOLE, Shard, Slice

MAGIC = b"imgpart1"
FOLDER = ".parts"
Image = tuple[bytes, str | None]  # an image file, and what was drawn for it if that is kept
_NUMBER = 8  # bytes
_NAME = re.compile(r"(\d+)-(\d+)\.part")


def key_of(*about: object) -> str:
    """Sixteen digits for all that decides the bytes of parts, values of JSON."""
    text = json.dumps([MAGIC.decode(), *about], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:16]


class Parts:
    """The parts of one shard, in a folder of its own below ``folder``."""

    def __init__(self, folder: Path, key: str, shard: Shard) -> None:
        self._folder, self._key, self._shard = folder / _folder(shard, key), key, shard

    def write(self, chunk: Shard, images: Sequence[Image]) -> None:
        """Leaves the images of a chunk."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(chunk)
        hidden = path.with_name(f".{path.name}-{uuid4().hex}")
        write_all(str(hidden), _encoded(self._about(chunk), images))
        os.replace(hidden, path)

    def read(self, chunk: Shard) -> list[Image] | None:
        """The images of a chunk; None where there is no part of it, or one that does not fit: that
        is removed."""
        try:
            data = self._path(chunk).read_bytes()
        except FileNotFoundError:
            return None
        images = _decoded(self._about(chunk), data)
        if images is None:
            self._path(chunk).unlink(missing_ok=True)
        return images

    def __contains__(self, chunk: Shard) -> bool:
        """Whether there is a part of exactly that chunk, by its name."""
        return self._path(chunk).exists()

    def found(self) -> list[Shard]:
        """The chunks of which there are parts, by their names; of one start the longest first."""
        with suppress(FileNotFoundError):
            named = filter(None, map(_NAME.fullmatch, os.listdir(self._folder)))
            ranges = [(int(name[1]), int(name[2])) for name in named]
            ranges = [one for one in ranges if self._holds(*one)]
            ranges.sort(key=lambda one: (one[0], -one[1]))
            return [Shard(self._shard.number, *one) for one in ranges]
        return []

    def remove(self) -> None:
        """Removes all."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _holds(self, start: int, stop: int) -> bool:
        return self._shard.start <= start < stop <= self._shard.stop

    def _path(self, chunk: Shard) -> Path:
        return self._folder / f"{chunk.start}-{chunk.stop}.part"

    def _about(self, chunk: Shard) -> dict[str, object]:
        return {"key": self._key, "shard": chunk.number, "start": chunk.start, "stop": chunk.stop}


@contextmanager
def turn(folder: Path, shard: Shard) -> Iterator[bool]:
    """Whether it is up to this process, or thread, to assemble a shard: not while another one does.

    The kernel takes it back from a process that ends, however it ends: a file that is there is no
    claim. ``folder``: the run's own, on a disk of this machine, where every kernel has such locks.
    """
    file = os.open(folder / f"{shard.name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(file)


def sweep(folder: Path, key: str, shards: Iterable[Shard], of: Slice = WHOLE) -> None:
    """Removes what is of no use to a run that makes these shards: parts of other ones, of another
    recipe or version, and what was left half-written; of a slice what it owns."""
    wanted = {_folder(shard, key) for shard in shards}
    with suppress(FileNotFoundError):
        for inner in filter(lambda inner: of.owns(inner.name), list(folder.iterdir())):
            if inner.name not in wanted:
                shutil.rmtree(inner, ignore_errors=True)
                continue
            for file in inner.iterdir():
                if not _NAME.fullmatch(file.name):
                    file.unlink()
    _remove_empty(folder)


def clear(folder: Path, of: Slice = WHOLE) -> None:
    """Removes all parts; of a slice its own."""
    with suppress(FileNotFoundError):
        for inner in filter(lambda inner: of.owns(inner.name), list(folder.iterdir())):
            shutil.rmtree(inner, ignore_errors=True)
    _remove_empty(folder)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # there are parts of others
        folder.rmdir()


def _folder(shard: Shard, key: str) -> str:
    return f"{shard.name}-{key}"


def _encoded(about: dict[str, object], images: Sequence[Image]) -> bytes:
    files = [data for data, _ in images]
    texts = [drawn.encode() for _, drawn in images if drawn is not None]
    sizes = {"files": list(map(len, files)), "texts": list(map(len, texts)) if texts else None}
    header = json.dumps({**about, **sizes}).encode()
    body = b"".join([MAGIC, _number(len(header)), header, *files, *texts])
    return b"".join([body, _number(len(body)), sha256(body).digest()])


def _decoded(about: dict[str, object], data: bytes) -> list[Image] | None:
    """The images of a part; None unless it is whole and says of itself what it should."""
    end = len(data) - _NUMBER - sha256().digest_size
    body, rest = memoryview(data)[: max(end, 0)], data[max(end, 0) :]
    if end < 0 or rest != _number(end) + sha256(body).digest() or body[:8] != MAGIC:
        return None  # what follows was written by us, to the byte
    at = 16 + int.from_bytes(body[8:16], "little")
    header = json.loads(bytes(body[16:at]))
    files, texts = header.pop("files"), header.pop("texts")
    if header != about:
        return None
    pieces = []
    for size in [*files, *(texts or [])]:
        pieces.append(bytes(body[at : at + size]))
        at += size
    drawn = [piece.decode() for piece in pieces[len(files) :]] if texts else [None] * len(files)
    return list(zip(pieces[: len(files)], drawn, strict=True))


def _number(value: int) -> bytes:
    return value.to_bytes(_NUMBER, "little")
