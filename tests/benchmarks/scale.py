"""A hundred million images: ``python -m tests.benchmarks.scale``.

A dataset of which one shard in ten is missing, with records as a run writes them, goes on: the
driver lists what is there, plans, hands out all chunks, commits what is made and writes
``dataset.json``. Who gets a chunk makes no images and returns at once; the last one of a shard
commits it with its record. Prints time and memory of that process, and how both grow from a tenth
of the images on. Takes 12 GB of disk and some minutes to prepare.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from itertools import chain
from pathlib import Path

from joblib import Parallel, delayed
from omegaconf import DictConfig

from singleimg.backends.base import Backend
from singleimg.config.compose import compose
from singleimg.dataset.target import Target
from singleimg.jobs.job import Job, prepare
from singleimg.jobs.work import Task
from singleimg.jobs.worker import Made
from singleimg.storage.local import LocalStore
from singleimg.storage.manifest import Entry, Record
from singleimg.storage.shards import Shard
from singleimg.storage.staging import Staging
from singleimg.tasks.generate import generate

_SIZE = 15_000  # bytes of an image
_WORKERS = 64
_HERE = "tests.benchmarks.scale"


class StubBackend(Backend):
    """So many workers that make nothing at all."""

    name = "stub"

    def __init__(self, **_: object) -> None:
        """Has no settings."""

    def workers(self, threads: int | None) -> int:
        return _WORKERS

    def worth_starting(self, workers: int, seconds: float, start: float) -> int:
        return workers

    def run(
        self, function: Callable[[Task], Made], tasks: Iterable[Task], workers: int
    ) -> Iterator[Made]:
        first = next(iter(tasks))
        first.work.counts.put_begun()  # else the driver would make images until a worker is ready
        return map(self._made, chain([first], tasks))

    @staticmethod
    def _made(task: Task) -> Made:
        work, chunk = task.work, task.chunk
        if chunk.stop == task.shard.stop:
            place = work.output.place(chunk)
            commit_stub(work.store, place, task.shard, work.fingerprint, work.made_with)
        return Made(task.slot, len(chunk), len(chunk) * _SIZE)

    def stop(self) -> None:
        """Has nothing at work."""


def commit_stub(
    store: LocalStore, place: str, shard: Shard, fingerprint: str, made_with: dict[str, str]
) -> None:
    """Commits a shard whose file is empty, and whose record is as long as that of a real one."""
    digest = sha256(shard.name.encode()).hexdigest()
    entries = [
        Entry(i, place, _SIZE, digest, (i - shard.start) * (_SIZE + 1000))
        for i in range(shard.start, shard.stop)
    ]
    record = Record(
        shard.number, shard.start, shard.stop, len(shard) * _SIZE, fingerprint, made_with
    )
    with Staging(store, shard) as staging:
        staging.path(place).write_bytes(b"")
        staging.commit(record, [Entry(None, place, 0, sha256().hexdigest()), *entries])


def job_of(folder: Path, images: int, shard_size: int) -> Job:
    """The run, as the command line would describe it."""
    return prepare(settings(folder, images, shard_size))


def settings(folder: Path, images: int, shard_size: int) -> DictConfig:
    return compose(
        "image=dead_leaves", "img_size=8", f"num_imgs={images}",
        "output=webdataset", f"output.shard_size={shard_size}", f"targetpath={folder}",
        "engine._target_=tests.stubs.BlankEngine", "save_params=false", "durable=false",
        f"backend._target_={_HERE}.StubBackend", f"trusted_modules=[{_HERE},tests.stubs]",
    )  # fmt: skip


def fill(folder: Path, images: int, shard_size: int) -> None:
    """Nine of ten shards, committed."""
    job = job_of(folder, images, shard_size)
    folder.mkdir()
    job.store.write("recipe.json", job.recipe.text())
    Target(job.store).begin(job.target.look(), job.recipe, job.texts, job.output, [])
    there = [shard for shard in job.shards if shard.number % 10 != 3]
    about = job.recipe.fingerprint, job.recipe.made_with
    Parallel(n_jobs=os.cpu_count())(
        delayed(_fill)(job.store, job.output.place, there[k : k + 50], *about)
        for k in range(0, len(there), 50)
    )


def _fill(
    store: LocalStore, place: Callable[[Shard], str], shards: list[Shard], *about: object
) -> None:
    for shard in shards:
        commit_stub(store, place(shard), shard, *about)


def resume(folder: Path, images: int, shard_size: int) -> dict[str, float]:
    """Seconds, and megabytes at most, of the command that goes on; for a process of its own."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    begin = time.perf_counter()
    generate(settings(folder, images, shard_size))
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    summary = json.loads((folder / "dataset.json").read_text())
    assert summary["images"] == images, summary
    return {"seconds": seconds, "MB": peak, "MB idle": before}


def main() -> None:
    """Parses the command line, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=lambda text: int(float(text)), default=10**8)
    parser.add_argument("--shard", type=int, default=10_000, help="images in one")
    parser.add_argument("--folder", type=Path, help="where to write (default: temporary files)")
    parser.add_argument("--resume", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.resume:
        print(json.dumps(resume(given.resume, given.images, given.shard)))
        return
    found = {}
    for images in (given.images // 10, given.images):
        with tempfile.TemporaryDirectory(dir=given.folder) as name:
            folder = Path(name) / "set"
            begin = time.perf_counter()
            fill(folder, images, given.shard)
            prepared = time.perf_counter() - begin
            command = [sys.executable, "-m", _HERE, "--resume", str(folder), "--images",
                       str(images), "--shard", str(given.shard)]  # fmt: skip
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found[images] = json.loads(done.stdout.splitlines()[-1])
        print(f"{images:,} images in {images // given.shard:,} shards, of which one in ten is "
              f"missing (prepared in {prepared:.0f} s): {found[images]['seconds']:.1f} s, peak "
              f"{found[images]['MB']:.0f} MB", flush=True)  # fmt: skip
    small, large = found.values()
    print(f"growth of the peak: {large['MB'] / small['MB']:.2f}")


if __name__ == "__main__":
    main()
