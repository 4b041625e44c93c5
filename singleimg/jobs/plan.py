"""Who makes what: shards cut into chunks, and how many workers are worth starting for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from singleimg.backends.base import Backend
from singleimg.backends.cluster import Cluster
from singleimg.jobs.estimate import Estimate
from singleimg.jobs.work import Task, Work
from singleimg.outputs.base import Output
from singleimg.storage.shards import Shard

CHUNK = 250  # images
_PIECES = 50_000  # of which the time of a run is told, at most
_PART = 16e6  # bytes of a part: whoever makes or reads one holds it in memory


@dataclass(frozen=True)
class Plan:
    """The chunks of some shards, ``size`` images each, and the workers that make them.

    assembles: whether shards of several chunks are put together of parts. early: of the last shard,
    for which no other work is left meanwhile; see ``Task``.
    """

    shards: Sequence[Shard]
    size: int
    workers: int
    assembles: bool
    early: float = 0.0

    @classmethod
    def of(
        cls, shards: Sequence[Shard], output: Output, backend: Backend, workers: int, does: Estimate
    ) -> Plan:
        """One worker writes whole shards, and so do those on other machines; several of this one
        make chunks, smaller ones where images are large.

        ``workers``: as many as there may be. No byte of a dataset depends on any of this.
        """
        size = CHUNK
        while size > 1 and size * does.bytes > _PART * does.images:
            size //= 2
        number = sum(-(-len(shard) // size) for shard in shards)
        workers = min(backend.worth_starting(workers, does.seconds, does.start), number)
        if workers == 1 or isinstance(backend, Cluster):  # parts are put together where they lie
            size = max(map(len, shards))
            workers = min(workers, len(shards))
        parts = output.layout() is not None and not output.in_place
        # One begins when the others are to take as long for the rest as it takes to assemble all.
        share = does.writing / does.each if parts and does.each else 0.0
        early = min(0.9, (workers - 1) * share)
        return cls(shards, size, workers, assembles=parts, early=early)

    @cached_property
    def _firsts(self) -> np.ndarray:
        """The slot of each shard's first chunk, and behind them the number of all chunks."""
        return np.cumsum([0, *(-(-len(shard) // self.size) for shard in self.shards)])

    def __len__(self) -> int:
        """The number of chunks."""
        return int(self._firsts[-1])

    def tasks(self, work: Work, shards: Sequence[Shard] | None = None) -> Iterator[Task]:
        """All tasks in order, or those of some of the shards."""
        wanted = None if shards is None else set(shards)
        for first, shard in zip(self._firsts.tolist(), self.shards, strict=False):
            if wanted is None or shard in wanted:
                early = self.early if shard == self.shards[-1] else 0.0
                for slot, chunk in enumerate(shard.chunks(self.size), first):
                    yield Task(work, shard, chunk, self.size, slot, early)

    def shard_of(self, slot: int) -> Shard:
        """The shard of a chunk."""
        return self.shards[int(np.searchsorted(self._firsts, slot, "right")) - 1]

    # --- what it takes ---

    def pieces(self, effort: Estimate) -> list[float]:
        """What is done one after the other, each in images: chunks, and assembling after them.

        Of very many some are taken together, as if one worker made them: the end tells no more.
        """
        share = effort.writing / effort.each if effort.each else 0
        size = self.size * -(-len(self) // _PIECES)
        pieces: list[float] = []
        for shard in self.shards:
            assembled = self._is_assembled(shard)
            own = 1 - share if assembled else 1
            pieces += [len(chunk) * own for chunk in shard.chunks(size)]
            pieces += [len(shard) * share] if assembled else []
        together = -(-len(pieces) // _PIECES)
        if together <= 1:
            return pieces
        return [sum(pieces[at : at + together]) for at in range(0, len(pieces), together)]

    def parts(self, effort: Estimate) -> int:
        """Bytes of the parts that there are at once, at most: of the shard that is assembled, of
        the one that is made meanwhile, and of more where many workers are."""
        sizes = sorted(len(shard) for shard in self.shards if self._is_assembled(shard))
        begun = sum(sizes[-(2 + self.workers // 4) :])
        return begun * max(effort.bytes, effort.disk) // effort.images

    def staged(self, effort: Estimate) -> int:
        """Bytes of the shards that are on their way to a store at once, at most."""
        sizes = sorted(map(len, self.shards))[-self.workers :]
        return sum(sizes) * max(effort.bytes, effort.disk) // effort.images

    def _is_assembled(self, shard: Shard) -> bool:
        return self.assembles and len(shard) > self.size
