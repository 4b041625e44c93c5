"""What travels to workers: a run's objects, built once, and one task after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from singleimg.jobs.producers import Producer
from singleimg.jobs.progress import Counts
from singleimg.outputs.base import Output
from singleimg.storage.base import Store
from singleimg.storage.shards import Shard


@dataclass(frozen=True)
class Work:
    """What all tasks of a run have in common: objects that were built once, and are small.

    It travels with each task; two of the same ``run`` are equal, and each process keeps the first
    one that it gets, with what that has decoded and prepared since.
    """

    run: str  # tells this run from all others in this process's life
    producer: Producer = field(compare=False)
    output: Output = field(compare=False)
    store: Store = field(compare=False)
    fingerprint: str = field(compare=False)
    made_with: dict[str, str] = field(compare=False)
    save_params: bool = field(compare=False)
    batch_size: int = field(compare=False)
    counts: Counts = field(compare=False)
    folder: Path = field(compare=False)  # the run's own, on a disk of this machine
    key: str = field(default="", compare=False)  # of its parts
    trusted: tuple[str, ...] = field(default=(), compare=False)  # whose code may fail
    # What decides bytes, as it is here: where other machines are to have the same; None: none are.
    versions: dict[str, str] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Task:
    """One chunk to make, and its row among the counters.

    shard: which it is a part of, or the whole. size: the images of each chunk of that shard.
    early: the share of its images that may still be missing when a worker begins to assemble it.
    """

    work: Work
    shard: Shard
    chunk: Shard
    size: int
    slot: int
    early: float = 0.0
