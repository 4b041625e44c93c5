"""What every output owes: where the shards of its images lie, and how they are written and read."""

from __future__ import annotations

import importlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from singleimg.errors import UserError
from singleimg.storage.base import Store
from singleimg.storage.integrity import Files
from singleimg.storage.manifest import Entry, Record
from singleimg.storage.reader import PartReader, Reader
from singleimg.storage.shards import Shard
from singleimg.storage.staging import Staging
from singleimg.system.extras import install

if TYPE_CHECKING:
    from singleimg.drawing.columns import Columns
    from singleimg.drawing.pipeline import Sample

_HEAD = 64  # bytes of an image by which it is found again
_BETWEEN = 4096  # bytes between two images, as a rule
_BLOCK = 1 << 20  # bytes read at once


class Writer(Protocol):
    """Writes one shard."""

    def write(self, index: int, data: bytes, drawn: str | None) -> None:
        """Writes image ``index``, and the text that ``Output.drawn`` gave for it, if any."""

    def close(self) -> list[Entry]:
        """Ends the shard; the files and images that it holds."""


@dataclass(frozen=True, kw_only=True)
class Output(ABC):
    """The settings in ``conf/output``.

    A subclass says by class variables what it is: its ``name`` in the recipe, the version of its
    ``writer`` (another one, other bytes), the ``most`` images of a shard, the ``libraries`` that
    decide bytes by the names that pip knows; ``remote``, whether it may lie behind a URL;
    ``draws``, whether it saves what was drawn unless told otherwise, and ``draws_inside``, whether
    that lies with the images, not in ``params/``; ``in_place``, whether several processes may
    write images of one shard at once, each writer those that it is given and no others.
    """

    name: ClassVar[str]
    writer: ClassVar[int] = 1
    most: ClassVar[int] = 1_000_000
    libraries: ClassVar[tuple[str, ...]] = ()
    module: ClassVar[str | None] = None  # what it writes with, which the extra of its name brings
    remote: ClassVar[bool] = True
    draws: ClassVar[bool] = False
    draws_inside: ClassVar[bool] = False
    in_place: ClassVar[bool] = False
    own: ClassVar[tuple[str, ...]] = ()  # fields of a subclass that decide where bytes lie
    closing: ClassVar[tuple[str, ...]] = ()  # files of the whole dataset, written at its end
    kept: ClassVar[tuple[str, ...]] = ()  # files of the whole dataset that every shard writes to
    # Files that Hugging Face reads by itself: a pattern, the media type of each where they are no
    # image files, and the column of a table that holds the bytes of an image.
    published: ClassVar[str | None] = None
    media: ClassVar[str | None] = None
    column: ClassVar[str | None] = None
    read_lines: ClassVar[tuple[str, ...]] = ('singleimg.StoredDataset(".")',)  # for its card

    image_suffix: str = ".jpg"  # of the image files, which somebody else encodes
    shard_size: int = 1000

    def __post_init__(self) -> None:
        if type(self.shard_size) is not int or not 1 <= self.shard_size <= self.most:
            raise UserError(
                f"output.shard_size={self.shard_size} is not a whole number of images from 1 to "
                f"{self.most:,}: type for example output.shard_size={min(self.most, 1000)}."
            )

    def require(self) -> None:
        """Raises UserError, which says how to install it, when its module is missing."""
        if self.module is None:
            return
        try:
            importlib.import_module(self.module)
        except ImportError as error:
            raise UserError(
                f"output={self.name} needs the module {self.module}, which cannot be imported here "
                f"({error}): type {install(self.name)}."
            ) from None

    def layout(self) -> dict[str, Any] | None:
        """What decides where bytes lie, for the recipe; None: there is no dataset."""
        own = {key: getattr(self, key) for key in self.own}
        return {"output": self.name, **own, "shard_size": self.shard_size, "writer": self.writer}

    @abstractmethod
    def open(self, staging: Staging, shard: Shard, columns: Columns | None = None) -> Writer:
        """A writer of one shard; ``columns`` of what was drawn, if that is to be saved."""

    def drawn(self, sample: Sample, columns: Columns) -> str:
        """What is kept of the draws of one image: JSON in one line."""
        return sample.text()

    @abstractmethod
    def place(self, shard: Shard) -> str | None:
        """The file or folder of a shard, below the target; None: shards share ``kept``."""

    @abstractmethod
    def owns(self, path: str) -> bool:
        """Whether a file at ``path``, below the target, has a name that this output gives."""

    def present(self, store: Store, shards: Sequence[Shard]) -> set[int]:
        """The numbers of those ``shards`` whose data are in their place."""
        there: dict[str, set[str]] = {}
        found = set()
        for shard in shards:
            folder, _, name = str(self.place(shard)).rpartition("/")
            if folder not in there:
                there[folder] = set(store.names(folder))
            if name in there[folder]:
                found.add(shard.number)
        return found

    def check_place(self, target: Path) -> None:  # noqa: B027, most can write anywhere
        """Raises UserError when this output cannot write to a folder, whatever lies there."""

    def clear(self, store: Store, recorded: set[str]) -> None:  # noqa: B027, most leave nothing
        """Removes data of shards that are not ``recorded`` (names), where they have no file."""

    def damaged(self, store: Store) -> tuple[str, ...]:
        """Those of the files ``kept`` that nobody can read or go on with: they are made anew."""
        return ()

    def close_dataset(self, name: str, records: Sequence[Record], store: Store) -> Iterator[str]:
        """The text of the file ``name``, one of ``closing``, from the records of all shards."""
        yield from ()  # most have no such file

    def reader(self, store: Store) -> Reader:
        """Who reads single images of a dataset in ``store``."""
        return PartReader(store, self.shard_size)

    def files(self, store: Store) -> Files:
        """Who compares the files of a dataset in ``store`` with their records."""
        return Files(store)

    def load_lines(self, store: Store, shards: int) -> Sequence[str]:
        """Lines of Python of which each opens the dataset, which has so many ``shards``."""
        return [f"singleimg.StoredDataset({str(store)!r})"]


class Part(NamedTuple):
    """An image that was written into a file of many; its first bytes find it again."""

    index: int
    bytes: int
    sha256: str
    head: bytes

    @classmethod
    def of(cls, index: int, data: bytes) -> Part:
        """That of image ``index``."""
        return cls(index, len(data), sha256(data).hexdigest(), data[:_HEAD])


def find_parts(file: Path, place: str, images: Iterable[Part]) -> Iterator[Entry]:
    """The entries of a finished ``file`` that will lie at ``place``, and of the images in it.

    Each image is looked for behind the one before it: its bytes stand in the file as they are,
    since no format compresses them. So any library may write the file, and anybody reads an image
    of it without that library. Of a large file no more than a few megabytes are in memory at once.
    """
    with file.open("rb", buffering=0) as opened:
        digest, size = sha256(), 0
        while block := opened.read(_BLOCK):
            digest.update(block)
            size += len(block)
        yield Entry(None, place, size, digest.hexdigest())
        end = 0
        for part in images:
            offset, reach = None, _BETWEEN
            while offset is None:
                block = os.pread(opened.fileno(), part.bytes + reach, end)
                offset = _find(part, block)
                if offset is None and end + len(block) >= size:
                    raise RuntimeError(f"image {part.index} does not stand in {file} as it is")
                reach *= 16
            yield Entry(part.index, place, part.bytes, part.sha256, end + offset)
            end += offset + part.bytes


def _find(part: Part, block: bytes) -> int | None:
    """Where in a block an image stands whole."""
    offset = block.find(part.head)
    while offset >= 0:
        if sha256(block[offset : offset + part.bytes]).hexdigest() == part.sha256:
            return offset
        offset = block.find(part.head, offset + 1)
    return None
