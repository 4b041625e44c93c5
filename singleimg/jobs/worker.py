"""What a worker runs: one shard, from the draws to its record."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from singleimg.config.make import instantiate
from singleimg.dataset.open import from_config
from singleimg.dataset.target import params_place, write_error
from singleimg.jobs.producers import Origin, Rendered, Stored
from singleimg.jobs.progress import Counter, Dropped
from singleimg.storage.local import Disk, write_all
from singleimg.storage.manifest import Entry, Record
from singleimg.storage.resolve import is_local
from singleimg.storage.shards import Shard
from singleimg.storage.staging import Staging
from singleimg.system.tempdir import temporary_errors

if TYPE_CHECKING:
    from singleimg.storage.remote import Store


@dataclass(frozen=True)
class Work:
    """What all shards of a run have in common; small, sent with each of them.

    ``spec`` is the resolved configuration and the hashes of the sources as JSON: a cache key. To
    export, it says where the images are ``stored``.
    """

    spec: str
    target: Path
    fingerprint: str
    made_with: dict[str, str]
    disk: Disk | Store
    save_params: bool
    batch_size: int
    counts: str  # file of the progress counters
    driver: int  # process id
    pictures: Path | None = None  # folder of the decoded pictures


@dataclass(frozen=True)
class Task:
    """One shard to make, and its row among the counters."""

    work: Work
    shard: Shard
    slot: int


@lru_cache(maxsize=1)
def build(spec: str, pictures: Path | None = None) -> tuple[Origin, Any]:
    """Origin and output of a specification, built once in each process."""
    parts = json.loads(spec)
    cfg = OmegaConf.create(parts["config"])
    output = instantiate(cfg, "output")
    if parts.get("stored"):
        return Stored(cfg, parts["stored"]), output
    images = from_config(cfg, pictures, parts["sources"])
    images.engine.set_up_process()
    return Rendered(images, output.encoder, cfg.save_params), output


def render_shard(task: Task) -> None:
    """Renders, encodes and writes every image of a shard, and commits it; the counters tell of it.

    Raises UserError when a person can mend what went wrong, Dropped when the driver wants no more.
    """
    work = task.work
    with Counter(work.counts, task.slot, work.batch_size, work.driver) as counter:
        try:
            _make(work, task.shard, counter)
        except Dropped:
            if counter.orphaned:  # nobody waits for an answer
                os._exit(1)
            raise


def _make(work: Work, shard: Shard, counter: Counter) -> None:
    origin, output = build(work.spec, work.pictures)
    if output.layout() is None:
        _write(shard, origin, output.open(None, shard), counter)
        return
    with _errors(work, shard), Staging(work.target, shard, work.disk) as staging:
        writer = output.open(staging, shard, origin.columns)
        draws = _write(shard, origin, writer, counter, beside=not output.draws_inside)
        entries = writer.close()
        if work.save_params and not output.draws_inside:
            place = params_place(shard)
            entries.append(_write_params(staging.path(place), place, draws))
        counter.check()
        # What the recipe says of all, but for images that were made before.
        made_with = {k: origin.made_with(shard).get(k, v) for k, v in work.made_with.items()}
        made = Record(
            shard.number, shard.start, shard.stop, counter.bytes, work.fingerprint, made_with
        )
        staging.commit(made, entries)


def _write(
    shard: Shard, origin: Origin, writer: Any, counter: Counter, beside: bool = False
) -> list[str]:
    """Has every image written; what was drawn for each, a line of JSON, if it lies ``beside``."""
    draws = []
    for index in range(shard.start, shard.stop):
        data, sample = origin.image(index)
        writer.write(index, data, sample)
        if beside and sample is not None:
            draws.append(json.dumps(sample.record()) + "\n")
        counter.step(len(data))
    counter.flush()
    return draws


def _write_params(path: Path, place: str, draws: list[str]) -> Entry:
    data = "".join(draws).encode()
    write_all(str(path), data)
    return Entry(None, place, len(data), sha256(data).hexdigest())


@contextmanager
def _errors(work: Work, shard: Shard) -> Iterator[None]:
    if not is_local(work.target):  # errors of the store have their sentences
        with temporary_errors():
            yield
        return
    try:
        yield
    except OSError as error:
        raise write_error(work.target, error, f"shard {shard.name}") from error
