"""One shard on its way into a dataset."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

from singleimg.storage.base import TEMPORARY, Store
from singleimg.storage.manifest import Entry, Record, record_place, record_text
from singleimg.storage.shards import Shard


class Staging:
    """One shard on its way into a dataset; see the order at the top of ``manifest``.

    shared: a name under which several processes have one and the same folder. Whoever commits
    removes it; where nobody does, ``clear_temporary``.
    """

    def __init__(self, store: Store, shard: Shard, shared: str | None = None) -> None:
        self.store, self.shard = store, shard
        self.folder = store.staging / f"{TEMPORARY}{shard.name}-{shared or uuid4().hex[:12]}"
        self._steps: list[Callable[[], None]] = []
        self._removes = shared is None
        self.folder.mkdir(exist_ok=shared is not None)
        self._syncing = store.syncing(self.folder)
        self._sync = self._syncing.__enter__()

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, *_: object) -> None:
        """Whatever is still in the temporary folder goes, unless others are at work in it."""
        self._syncing.__exit__(None, None, None)
        if self._removes:
            shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, place: str) -> Path:
        """Where to write what will lie at ``place`` (a file or a folder, below the target)."""
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        self.then(lambda: self.store.put(path, place))
        return path

    def has(self, place: str) -> bool:
        """Whether something was written for ``place``."""
        return (self.folder / place).exists()

    def then(self, step: Callable[[], None]) -> None:
        """Has ``step`` done at the commit, in its turn: when all is durable, before the record."""
        self._steps.append(step)

    def commit(self, record: Record, entries: Sequence[Entry]) -> None:
        """Puts all in its place, the record last."""
        self.path(record_place(self.shard)).write_text(
            record_text(record, entries), encoding="utf-8"
        )
        self._sync()
        for step in self._steps:
            step()
        self._removes = True
