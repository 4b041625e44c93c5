"""What a worker runs: one chunk of a shard, and the shard itself once it has all of its chunks."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import NamedTuple

from singleimg.errors import WriteError, own_failures
from singleimg.jobs.commit import Beside, commit, listed, open_writer, write_shard
from singleimg.jobs.node import settled
from singleimg.jobs.parts import FOLDER, Image, Parts, turn
from singleimg.jobs.progress import Counter
from singleimg.jobs.work import Task, Work
from singleimg.storage.manifest import Entry, record_place
from singleimg.storage.shards import Shard
from singleimg.storage.staging import Staging

# Seconds between two looks for a part that somebody else makes, and until it is made here.
_LOOK, _PATIENCE = 0.02, 60.0


class Made(NamedTuple):
    """The row of a chunk that is made: its number, images, their bytes."""

    slot: int
    images: int
    nbytes: int


_lock = Lock()  # the threads of a worker come to the first chunks of a run at the same time


def kept(work: Work) -> Work:
    """The first ``work`` of its run in this process, ready to make images."""
    with _lock:
        return _ready(work)


@lru_cache(maxsize=1)
def _ready(work: Work) -> Work:
    work = work if work.versions is None else settled(work)
    work.producer.set_up_process()
    return work


def render_in_worker(task: Task) -> Made:
    """``render_chunk`` where the driver waits for the first worker to be ready."""
    with own_failures(task.work.trusted):
        kept(task.work).counts.put_begun()
    return render_chunk(task)


def render_chunk(task: Task) -> Made:
    """Renders and encodes every image of a chunk; the counters tell of it, and what is returned.

    A chunk that is a whole shard is written straight into it. Of other chunks parts are left, and
    whoever leaves the last one assembles the shard, or one who may begin ``early``: the same bytes.
    Raises UserError when a person can mend what went wrong, Dropped when the driver wants no more.
    """
    with own_failures(task.work.trusted):
        work, shard, chunk = kept(task.work), task.shard, task.chunk
        with Counter(work.counts, task.slot, work.batch_size) as counter:
            if work.output.layout() is None:
                for _ in _counted(_rendered(work, chunk), counter):
                    pass
                return Made(task.slot, counter.count, counter.bytes)
            with work.store.writing(f"shard {shard.name}"):
                parts = Parts(work.store.staging / FOLDER, work.key, shard)
                if chunk == shard:
                    images = _counted(_all(work, shard, parts), counter)
                    write_shard(work, shard, images, counter.check)
                    parts.remove()
                elif work.output.in_place:
                    _add_in_place(work, task, counter)
                else:
                    _add_part(work, task, parts, counter)
            return Made(task.slot, counter.count, counter.bytes)


# --- images --------------------------------------------------------------------------------------


def _rendered(work: Work, chunk: Shard) -> Iterator[Image]:
    """The images of a chunk, made now."""
    columns = work.producer.columns
    for data, sample in work.producer.images(chunk):
        yield data, None if sample is None else work.output.drawn(sample, columns)


def _all(work: Work, shard: Shard, parts: Parts) -> Iterator[Image]:
    """The images of a shard in order: from parts, one at a time, else made now."""
    found, at = parts.found(), shard.start
    while at < shard.stop:
        for chunk in (one for one in found if one.start == at):
            images: Iterable[Image] | None = parts.read(chunk)
            if images is not None:
                break
        else:
            stop = min((one.start for one in found if one.start > at), default=shard.stop)
            chunk = Shard(shard.number, at, stop)
            images = _rendered(work, chunk)
        yield from images
        at = chunk.stop


def _counted(images: Iterable[Image], counter: Counter) -> Iterator[Image]:
    for image in images:
        yield image
        counter.step(len(image[0]))
    counter.flush()


# --- chunks of a shard that several make ---------------------------------------------------------


def _add_part(work: Work, task: Task, parts: Parts, counter: Counter) -> None:
    """Leaves the part of a chunk, unless a killed run has; with enough of them makes the shard."""
    images = parts.read(task.chunk)
    if images is None:
        parts.write(task.chunk, list(_counted(_rendered(work, task.chunk), counter)))
    else:
        for _ in _counted(images, counter):
            pass
    del images
    with _assembling(work, task, parts) as mine:
        if mine:
            write_shard(work, task.shard, _awaited(work, task, parts, counter), counter.check)
            parts.remove()


def _awaited(work: Work, task: Task, parts: Parts, counter: Counter) -> Iterator[Image]:
    """The images of a shard in order, from parts that are there or will be.

    Who makes those that are not waits for nobody, where chunks are begun in their order by as many
    as it is said; a backend may do otherwise, so what takes too long is made here.
    """
    for chunk in task.shard.chunks(task.size):
        end = time.monotonic() + _PATIENCE
        while chunk not in parts and time.monotonic() < end:
            counter.check()
            time.sleep(_LOOK)
        images: Iterable[Image] | None = parts.read(chunk)
        yield from _rendered(work, chunk) if images is None else images


def _add_in_place(work: Work, task: Task, counter: Counter) -> None:
    """Writes the images of a chunk where they are committed from, in a folder that all share.

    Its part holds for each image the line of the record in place of the file.
    """
    shard = task.shard
    with Staging(work.store, shard, shared=work.run[:12]) as staging:
        writer, drawn = open_writer(work, staging, task.chunk), []
        for index, (data, text) in enumerate(
            _counted(_rendered(work, task.chunk), counter), task.chunk.start
        ):
            writer.write(index, data, text)
            drawn.append(text)
        lines = [json.dumps(entry).encode() for entry in listed(writer, task.chunk)]
        parts = Parts(staging.folder / FOLDER, work.key, shard)
        parts.write(task.chunk, list(zip(lines, drawn, strict=True)))
        with _assembling(work, task, parts) as mine:
            if not mine:
                return
            entries, beside = [], Beside(work, staging, shard)
            for chunk in shard.chunks(task.size):
                part = parts.read(chunk)
                if part is None:
                    raise WriteError(
                        f"shard {shard.name} was altered by another process while it was made: end "
                        "that process."
                    )
                for line, text in part:
                    entries.append(Entry(*json.loads(line)))
                    beside.write(text)
            counter.check()
            size = sum(entry.bytes for entry in entries)
            commit(work, staging, shard, [*entries, *beside.close()], size)


@contextmanager
def _assembling(work: Work, task: Task, parts: Parts) -> Iterator[bool]:
    """Whether enough parts of a shard are there, and nobody else makes it of them, or has."""
    chunks, record = set(task.shard.chunks(task.size)), record_place(task.shard)

    def enough() -> bool:
        missing = chunks.difference(parts.found())
        return sum(map(len, missing)) <= task.early * len(task.shard)

    if not enough():
        yield False
        return
    with turn(work.folder, task.shard) as mine:
        yield mine and enough() and not work.store.exists(record)
