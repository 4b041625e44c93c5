"""``folder``: one file an image, at most ``shard_size`` in a folder, as ``ImageFolder`` reads it.

<target>/train/<class>/<shard, six digits>/patch_<index, nine digits>.jpg
<target>/train/metadata.jsonl    without it Hugging Face would take the shard's number for a class
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from singleimg.encoders.base import SUFFIXES
from singleimg.errors import UserError
from singleimg.outputs.base import Output
from singleimg.storage.base import Store
from singleimg.storage.local import write_all
from singleimg.storage.manifest import Entry, Record
from singleimg.storage.reader import FileReader, Reader
from singleimg.storage.shards import Shard
from singleimg.storage.staging import Staging

if TYPE_CHECKING:
    from singleimg.drawing.columns import Columns

MAX_FILES = 1000  # in one folder: listings of larger ones are slow on every file system
METADATA = "train/metadata.jsonl"
_LONGEST = 100  # characters of a class's name


@dataclass(frozen=True, kw_only=True)
class FolderOutput(Output):
    """Writes image files; ``class_name`` is the one label that a reader sees."""

    name = "folder"
    writer = 3
    most = MAX_FILES
    remote = False
    in_place = True
    own = ("class_name",)
    closing = (METADATA,)
    published = "train/**"
    read_lines = (
        'torchvision.datasets.ImageFolder("train")',
        'datasets.load_dataset(".", split="train")',
        'singleimg.StoredDataset(".")',
    )

    class_name: str
    shard_size: int = MAX_FILES

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _is_name(self.class_name):
            raise UserError(
                f"output.class_name={str(self.class_name)[:_LONGEST]!r} is not the name of one "
                f"folder (printable, at most {_LONGEST} characters, no / or \\, no dot or space "
                "first or last): type for example output.class_name=dummy."
            )

    def place(self, shard: Shard) -> str:
        return f"train/{self.class_name}/{shard.name}"

    def open(self, staging: Staging, shard: Shard, columns: Columns | None = None) -> FolderWriter:
        """A writer of images of one shard, into a folder that is put in its place later."""
        path = staging.path(self.place(shard))
        path.mkdir(exist_ok=True)
        return FolderWriter(str(path), self.place(shard), self.image_suffix)

    def owns(self, path: str) -> bool:
        folder = re.escape(f"train/{self.class_name}/")
        endings = "|".join(map(re.escape, {*SUFFIXES.values(), self.image_suffix}))
        return re.fullmatch(rf"{folder}\d{{6,}}/patch_\d{{9}}({endings})", path) is not None

    def close_dataset(self, name: str, records: Sequence[Record], store: Store) -> Iterator[str]:
        """``metadata.jsonl``: the name of each file and the index of its image."""
        for record in records:
            for index in range(record.start, record.stop):
                row = {"file_name": self.file(index).removeprefix("train/"), "index": index}
                yield json.dumps(row) + "\n"

    def reader(self, store: Store) -> Reader:
        return FileReader(store, self.file)

    def file(self, index: int) -> str:
        """Where image ``index`` lies, below the target."""
        shard = Shard(index // self.shard_size, 0, 0)
        return _file(self.place(shard), index, self.image_suffix)

    def load_lines(self, store: Store, shards: int) -> Sequence[str]:
        return [f"torchvision.datasets.ImageFolder({store.path_of('train')!r})"]


class FolderWriter:
    """Writes files of one shard into ``path``; ``place`` is where they will lie."""

    def __init__(self, path: str, place: str, suffix: str) -> None:
        self._path, self._place, self._suffix = path, place, suffix
        self._entries: list[Entry] = []

    def write(self, index: int, data: bytes, drawn: str | None = None) -> None:
        write_all(_file(self._path, index, self._suffix), data)
        path = _file(self._place, index, self._suffix)
        self._entries.append(Entry(index, path, len(data), sha256(data).hexdigest()))

    def close(self) -> list[Entry]:
        return self._entries


def _file(folder: str, index: int, suffix: str) -> str:
    return f"{folder}/patch_{index:09d}{suffix}"


def _is_name(name: Any) -> bool:
    return (
        isinstance(name, str)
        and 0 < len(name) <= _LONGEST
        and name.isprintable()
        and not {"/", "\\"} & set(name)
        and name == name.strip(" .")
    )
