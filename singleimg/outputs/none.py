"""``none``: renders, encodes, counts and writes nothing; for measuring."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from singleimg.encoding import Encoder
from singleimg.manifest import Entry, Shard


@dataclass(frozen=True)
class NoOutput:
    """Takes encoded images and drops them."""

    class_name: str
    encoding: str = "jpeg"
    quality: int = 75
    subsampling: str = "4:2:0"
    jpeg: str = "pillow"
    shard_size: int = 1000

    @property
    def encoder(self) -> Encoder:
        """Who turns pixels into bytes."""
        return Encoder(self.encoding, self.quality, self.subsampling, self.jpeg)

    def layout(self) -> None:
        """None: there is no dataset."""

    def open(self, path: Path | None, shard: Shard) -> NoWriter:
        """A writer that writes nothing."""
        return NoWriter()


class NoWriter:
    """The writer that writes nothing."""

    def write(self, index: int, data: bytes) -> None:
        """Drops the image."""

    def close(self) -> list[Entry]:
        """Nothing was written."""
        return []
