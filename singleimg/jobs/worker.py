"""What a worker runs: one shard, from the draws to its record."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from singleimg.dataset.target import params_place
from singleimg.errors import UserError, misfit, own_failures
from singleimg.jobs.producers import Producer
from singleimg.jobs.progress import Counter
from singleimg.outputs.base import Output, Writer
from singleimg.storage.base import Store
from singleimg.storage.local import write_all
from singleimg.storage.manifest import Entry, Record
from singleimg.storage.shards import Shard
from singleimg.storage.staging import Staging


@dataclass(frozen=True)
class Work:
    """What all shards of a run have in common: objects that were built once, and are small.

    It travels with each shard; two of the same ``run`` are equal, and each process keeps the first
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
    counts: str = field(compare=False)  # file of the progress counters
    trusted: tuple[str, ...] = field(default=(), compare=False)  # whose code may fail


@dataclass(frozen=True)
class ShardTask:
    """One shard to make, and its row among the counters."""

    work: Work
    shard: Shard
    slot: int


@lru_cache(maxsize=1)
def kept(work: Work) -> Work:
    """The first ``work`` of its run in this process, ready to make shards."""
    work.producer.set_up_process()
    return work


def render_shard(task: ShardTask) -> None:
    """Renders, encodes and writes every image of a shard, and commits it; the counters tell of it.

    Raises UserError when a person can mend what went wrong, Dropped when the driver wants no more.
    """
    with own_failures(task.work.trusted):
        work = kept(task.work)
        with Counter(work.counts, task.slot, work.batch_size) as counter:
            _make(work, task.shard, counter)


def _make(work: Work, shard: Shard, counter: Counter) -> None:
    producer, output = work.producer, work.output
    if output.layout() is None:
        _write(shard, producer, output, output.open(None, shard), counter)
        return
    with work.store.writing(f"shard {shard.name}"), Staging(work.store, shard) as staging:
        writer = output.open(staging, shard, producer.columns)
        if not (hasattr(writer, "write") and hasattr(writer, "close")):
            owed = "a writer with write and close"
            raise misfit(f"{type(output).__name__}.open", writer, owed)
        draws = _write(shard, producer, output, writer, counter, beside=not output.draws_inside)
        entries = _checked(writer.close(), writer, shard)
        place = output.place(shard)
        if place is not None and not staging.has(place):
            raise UserError(
                f"{type(writer).__name__} wrote no {place}, where {type(output).__name__}.place "
                "says that the shard lies: docs/extending.md shows one that does."
            )
        if work.save_params and not output.draws_inside:
            place = params_place(shard)
            entries.append(_write_params(staging.path(place), place, draws))
        counter.check()
        # What the recipe says of all, but for images that were made before.
        made_with = {k: producer.made_with(shard).get(k, v) for k, v in work.made_with.items()}
        made = Record(
            shard.number, shard.start, shard.stop, counter.bytes, work.fingerprint, made_with
        )
        staging.commit(made, entries)


def _checked(entries: object, writer: Writer, shard: Shard) -> list[Entry]:
    """What a writer's ``close`` gives; UserError unless it lists every image of the shard once."""
    name, owed = f"{type(writer).__name__}.close", "a list of Entry, one for each image,"
    if not isinstance(entries, list) or not all(isinstance(one, Entry) for one in entries):
        raise misfit(name, entries, owed)
    listed = [one.index for one in entries if one.index is not None]
    if sorted(listed) != list(range(shard.start, shard.stop)):
        raise UserError(
            f"{name} lists {len(set(listed))} of the {len(shard)} images of shard {shard.name}, "
            f"and {owed} is needed: docs/extending.md shows one."
        )
    return entries


def _write(
    shard: Shard,
    producer: Producer,
    output: Output,
    writer: Writer,
    counter: Counter,
    beside: bool = False,
) -> list[str]:
    """Has every image written; what was drawn for each, a line of JSON, if it lies ``beside``."""
    draws = []
    for index, (data, sample) in enumerate(producer.images(shard), shard.start):
        drawn = None if sample is None else output.drawn(sample, producer.columns)
        writer.write(index, data, None if beside else drawn)
        if beside and drawn is not None:
            draws.append(drawn + "\n")
        counter.step(len(data))
    counter.flush()
    return draws


def _write_params(path: Path, place: str, draws: list[str]) -> Entry:
    data = "".join(draws).encode()
    write_all(str(path), data)
    return Entry(None, place, len(data), sha256(data).hexdigest())
