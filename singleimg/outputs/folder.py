"""``folder``: one file an image, at most ``shard_size`` in a folder, as ``ImageFolder`` reads it.

<target>/train/<class>/<shard, six digits>/patch_<index, nine digits>.jpg
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from singleimg.encoding import Encoder
from singleimg.errors import UserError
from singleimg.manifest import Shard

MAX_FILES = 1000  # in one folder: listings of larger ones are slow on every file system


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
        if Path(self.class_name).name != self.class_name or self.class_name.startswith("."):
            raise UserError(
                f"output.class_name={self.class_name} is not the name of one folder: "
                "type for example output.class_name=dummy."
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
            "writer": 1,
        }

    def open(self, target: Path, shard: Shard) -> FolderWriter:
        """A writer for one shard; nothing is visible below ``train/`` until it commits."""
        final = target / "train" / self.class_name / shard.name
        return FolderWriter(final, target / f".tmp-{shard.name}", self.encoder.suffix)

    def holds(self, target: Path, shard: Shard) -> bool:
        """Whether the data of a committed shard are still there."""
        return (target / "train" / self.class_name / shard.name).is_dir()

    def load_line(self, target: Path) -> str:
        """The line of Python that opens the dataset."""
        return f'torchvision.datasets.ImageFolder("{target / "train"}")'


class FolderWriter:
    """Writes the files of one shard into a temporary folder, then renames that folder once."""

    def __init__(self, final: Path, temporary: Path, suffix: str) -> None:
        self.final, self.temporary, self.suffix = final, temporary, suffix
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)

    def write(self, index: int, data: bytes) -> None:
        """Writes image ``index``."""
        # A million times: building a Path would cost half as much as creating the file.
        with open(f"{self.temporary}/patch_{index:09d}{self.suffix}", "wb", buffering=0) as file:
            file.write(data)

    def commit(self) -> None:
        """Puts the whole shard in its place; an older one under the same name goes."""
        self.final.parent.mkdir(parents=True, exist_ok=True)
        if self.final.exists():
            shutil.rmtree(self.final)
        self.temporary.rename(self.final)

    def discard(self) -> None:
        """Leaves nothing behind."""
        shutil.rmtree(self.temporary, ignore_errors=True)
