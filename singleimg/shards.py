"""What a worker runs: one shard, from the draws to its record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from singleimg import config
from singleimg.dataset import SingleImage
from singleimg.errors import UserError
from singleimg.manifest import Manifest, Record, Shard, write_whole
from singleimg.progress import Counter


@dataclass(frozen=True)
class Task:
    """One shard to make. ``spec`` is the resolved configuration as JSON: small, and a cache key."""

    spec: str
    target: Path
    shard: Shard
    counts: str  # file of the progress counters
    slot: int
    pictures: Path | None = None  # folder of the decoded pictures


@lru_cache(maxsize=1)
def build(spec: str, pictures: Path | None = None) -> tuple[SingleImage, Any]:
    """Images and output of a specification, built once in each process."""
    cfg = OmegaConf.create(json.loads(spec))
    images = SingleImage.from_config(cfg, pictures)
    images.engine.set_up_process()
    return images, config.instantiate(cfg.output, "output")


def render_shard(task: Task) -> Record:
    """Renders, encodes and writes every image of a shard, then commits it."""
    images, output = build(task.spec, task.pictures)
    settings = json.loads(task.spec)
    counter = Counter(task.counts, task.slot, settings["batch_size"])
    hashes, size, draws = [], 0, []
    with _errors(task), _writing(output.open(task.target, task.shard)) as writer:
        for index in range(task.shard.start, task.shard.stop):
            sample = images.draw(index)
            data = output.encoder.encode(images.render_sample(sample))
            writer.write(index, data)
            hashes.append(sha256(data).hexdigest())
            size += len(data)
            if settings["save_params"]:
                draws.append(json.dumps(sample.record()) + "\n")
            counter.step()
        counter.flush()
        record = Record(*_range(task.shard), size, hashes)
        if output.layout() is None:
            return record
        if draws:
            (task.target / "params").mkdir(exist_ok=True)
            write_whole(task.target / "params" / f"{task.shard.name}.jsonl", "".join(draws))
        writer.commit()
        Manifest(task.target).commit(record)
    return record


def _range(shard: Shard) -> tuple[int, int, int]:
    return shard.number, shard.start, shard.stop


@contextmanager
def _writing(writer: Any) -> Iterator[Any]:
    try:
        yield writer
    except BaseException:
        writer.discard()
        raise


@contextmanager
def _errors(task: Task) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"shard {task.shard.name} could not be written to targetpath={task.target} "
            f"({error.strerror}): mend that and type the same command again, it goes on "
            "where it stopped."
        ) from error
