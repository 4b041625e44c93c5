"""What the outputs have in common that put a shard into one file: train/shard-<number><suffix>."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from singleimg.outputs.base import Output
from singleimg.storage.shards import Shard


@dataclass(frozen=True, kw_only=True)
class FileOutput(Output):
    """One file a shard; a subclass says its ``suffix``."""

    suffix: ClassVar[str]

    shard_size: int = 10_000

    def place(self, shard: Shard) -> str:
        return f"train/shard-{shard.name}{self.suffix}"

    def owns(self, path: str) -> bool:
        return re.fullmatch(rf"train/shard-\d{{6,}}{re.escape(self.suffix)}", path) is not None
