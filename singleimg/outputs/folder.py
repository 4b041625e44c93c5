"""``folder``: one file an image, at most ``shard_size`` in a folder, as ``ImageFolder`` reads it.

<target>/train/<class>/<shard, six digits>/patch_<index, nine digits>.jpg
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from singleimg.durable import write_all
from singleimg.encoding import SUFFIXES, Encoder
from singleimg.errors import UserError
from singleimg.manifest import Entry, Shard

MAX_FILES = 1000  # in one folder: listings of larger ones are slow on every file system
_LONGEST = 100  # characters of a class's name


@dataclass(frozen=True)
class FolderOutput:
    """Writes image files; ``class_name`` is the one label that a reader sees."""

    class_name: str
    encoding: str = "jpeg"
    quality: int = 75
    subsampling: str = "4:2:0"
    jpeg: str = "pillow"
    shard_size: int = MAX_FILES

    def __post_init__(self) -> None:
        if type(self.shard_size) is not int or not 1 <= self.shard_size <= MAX_FILES:
            raise UserError(
                f"output.shard_size={self.shard_size} is not a whole number from 1 to {MAX_FILES} "
                f"(files in a folder): type for example output.shard_size={MAX_FILES}."
            )
        if not _is_name(self.class_name):
            raise UserError(
                f"output.class_name={str(self.class_name)[:_LONGEST]!r} is not the name of one "
                f"folder (printable, at most {_LONGEST} characters, no / or \\, no dot or space "
                "first or last): type for example output.class_name=dummy."
            )

    @property
    def encoder(self) -> Encoder:
        """Who turns pixels into the bytes of a file."""
        return Encoder(self.encoding, self.quality, self.subsampling, self.jpeg)

    def layout(self) -> dict[str, Any]:
        """What decides where bytes lie, for the recipe."""
        return {
            "output": "folder",
            "class_name": self.class_name,
            "shard_size": self.shard_size,
            "writer": 2,
        }

    def place(self, shard: Shard) -> str:
        """The folder of a shard, below the target."""
        return f"train/{self.class_name}/{shard.name}"

    def open(self, path: Path, shard: Shard) -> FolderWriter:
        """A writer of one shard, into the new folder ``path`` that is put in its place later."""
        path.mkdir()
        return FolderWriter(str(path), self.place(shard), self.encoder.suffix)

    def owns(self, path: str) -> bool:
        """Whether a file at ``path``, below the target, has a name that this output gives.

        Whatever its encoding: an overwritten dataset may have had another.
        """
        folder, endings = re.escape(f"train/{self.class_name}/"), "|".join(SUFFIXES.values())
        return re.fullmatch(rf"{folder}\d{{6,}}/patch_\d{{9}}({endings})", path) is not None

    def like(self, layout: dict[str, Any]) -> FolderOutput:
        """The output that wrote a dataset of that ``layout``."""
        return replace(self, class_name=layout["class_name"])

    def read(self, target: Path, shard: Shard, index: int) -> bytes:
        """The bytes of image ``index`` of a shard that is in its place."""
        return (target / _file(self.place(shard), index, self.encoder.suffix)).read_bytes()

    def load_line(self, target: Path) -> str:
        """The line of Python that opens the dataset."""
        return f'torchvision.datasets.ImageFolder("{target / "train"}")'


class FolderWriter:
    """Writes the files of one shard into ``path``; ``place`` is where they will lie."""

    def __init__(self, path: str, place: str, suffix: str) -> None:
        self._path, self._place, self._suffix = path, place, suffix
        self._entries: list[Entry] = []

    def write(self, index: int, data: bytes) -> None:
        """Writes image ``index``."""
        write_all(_file(self._path, index, self._suffix), data)
        path = _file(self._place, index, self._suffix)
        self._entries.append(Entry(index, path, len(data), sha256(data).hexdigest()))

    def close(self) -> list[Entry]:
        """Ends the shard; what was written."""
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
