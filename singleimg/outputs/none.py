"""``none``: renders, encodes, counts and writes nothing; for measuring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from singleimg.outputs.base import Output
from singleimg.storage.manifest import Entry
from singleimg.storage.shards import Shard
from singleimg.storage.staging import Staging

if TYPE_CHECKING:
    from singleimg.drawing.columns import Columns


@dataclass(frozen=True, kw_only=True)
class NoOutput(Output):
    """Takes encoded images and drops them."""

    name = "none"

    class_name: str | None = None

    def place(self, shard: Shard) -> None:
        """None: nothing lies anywhere."""

    def owns(self, path: str) -> bool:
        return False

    def layout(self) -> None:
        """None: there is no dataset."""

    def open(
        self, staging: Staging | None, shard: Shard, columns: Columns | None = None
    ) -> NoWriter:
        """A writer that writes nothing, so that it needs no ``staging``."""
        return NoWriter()


class NoWriter:
    """The writer that writes nothing."""

    def write(self, index: int, data: bytes, drawn: str | None = None) -> None:
        """Drops the image."""

    def close(self) -> list[Entry]:
        """Nothing was written."""
        return []
