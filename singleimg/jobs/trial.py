"""The first images, made and dropped, to see what all will take."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count, cycle, islice
from pathlib import Path
from statistics import fmean

from singleimg.jobs.estimate import Estimate, measure_cores
from singleimg.jobs.job import Job
from singleimg.jobs.producers import Made, Producer, Replayed
from singleimg.jobs.progress import begin_counts
from singleimg.jobs.worker import ShardTask, render_shard
from singleimg.storage.local import LocalStore
from singleimg.storage.shards import Shard
from singleimg.system.tempdir import scratch, temporary_errors

_IMAGES, _SECONDS, _MOST = 8, 0.25, 1.0  # so many images in so long, and in no case longer
_PART = 20  # of few images no more than one in so many
_WRITTEN = 256  # images, of which a few kilobytes of a file's own are a small part
_BLOCK = 4096  # bytes; what a file occupies is rounded up to blocks of this size
_SPAWN = 0.7  # seconds of a core for a process and what it imports before the first image


def try_out(job: Job, todo: Sequence[Shard]) -> Estimate:
    """Makes some images as one worker would, and writes them into a folder that goes at once.

    What is paid once is told apart by making an image again where it took long.
    """
    producer, images = job.producer, sum(map(len, todo))
    begin = time.process_time()
    producer.set_up_process()
    rendering = _Rendering(producer)
    rendering.step()
    start = time.process_time() - begin - sum(rendering.loads) - rendering.again[0] + _SPAWN
    rendering.go_on(min(images, max(_IMAGES, images // _PART)))
    writing, disk = _write(job, rendering.made, images) if job.writes else (0.0, 0.0)
    effort = Estimate(
        images=images,
        each=fmean(rendering.again) + writing,
        bytes=math.ceil(fmean(len(data) for data, _ in rendering.made) * images),
        disk=math.ceil(disk * images),
        start=0 if job.backend.in_threads else start,
    )
    workers = job.workers_for(effort, todo)
    more, once = rendering.pictures(shared=workers > 1 and not job.backend.in_threads)
    effort = replace(effort, each=effort.each + more, once=once)
    if workers == 1:
        return effort
    cores = measure_cores(workers, available_cores())
    # What a process waited for is no work where others had the cores.
    share = rendering.share if cores.given(workers) < min(workers, cores.all) else 1.0
    effort = replace(effort, each=effort.each * share, once=once * share, cores=cores)
    if job.backend.in_threads:
        effort = replace(effort, together=_together(producer, effort, workers))
    return effort


class _Rendering:
    """Images made one by one: seconds of each, and of what came before it the first time."""

    def __init__(self, producer: Producer) -> None:
        self.share = 1.0  # of a core, which this process got
        self._producer = producer
        self.made: list[Made] = []
        self.again: list[float] = []  # seconds of an image by itself
        self.loads: list[float] = []  # seconds for a picture to be decoded
        self.levels: list[float] = []  # seconds for what is made of a picture when first used
        self._nbytes: list[int] = []

    def go_on(self, most: int) -> None:
        """Until there are so many, or it was long enough."""
        begin, used = time.perf_counter(), time.process_time()
        while len(self.made) < most:
            spent = time.perf_counter() - begin
            if spent > _MOST or (spent > _SECONDS and len(self.made) >= _IMAGES):
                break
            self.step()
        spent, used = time.perf_counter() - begin, time.process_time() - used
        self.share = min(1.0, used / spent) if 0 < used < spent else 1.0

    def step(self) -> None:
        """One more."""
        index = len(self.made)
        misses = self._misses()
        begin = time.perf_counter()
        self._nbytes.append(self._producer.load(index))
        loaded = time.perf_counter()
        self.made.append(self._make(index))
        first = time.perf_counter() - loaded
        new = self._misses() > misses
        if new:
            self.loads.append(loaded - begin)
        if index >= _IMAGES and not new and first < 3 * fmean(self.again):
            self.again.append(first)
            return
        begin = time.perf_counter()
        self._make(index)
        self.again.append(time.perf_counter() - begin)
        if index:  # the first one waits for modules, too
            self.levels.append(max(0.0, first - self.again[-1]))

    def pictures(self, shared: bool) -> tuple[float, float]:
        """Seconds to be added to each image, and once: for pictures that were not decoded yet.

        A process keeps a few; of more than those each image may need one that it dropped. Workers
        map into memory what the driver has decoded, as far as there is room.
        """
        pictures = self._producer.pictures
        if pictures is None or not self.loads:
            return 0.0, 0.0
        number, kept = len(pictures), pictures.kept
        load, level = fmean(self.loads), fmean(self.levels or [0.0])
        missing = max(0.0, 1 - kept / number)
        if not shared:
            rest = max(0, number - len(self.loads)) if number <= kept else 0
            return missing * (load + level), rest * (load + level)
        room = min(1.0, pictures.room / max(number * fmean(self._nbytes), 1))
        once = number * room * load if number > kept else (number - len(self.loads)) * load
        return missing * (level + (1 - room) * load), max(0.0, once)

    def _make(self, index: int) -> Made:
        return next(self._producer.images(Shard(0, index, index + 1)))

    def _misses(self) -> int:
        pictures = self._producer.pictures
        return 0 if pictures is None else pictures.load.cache_info().misses


def _write(job: Job, made: Sequence[Made], images: int) -> tuple[float, float]:
    """Seconds and bytes on disk for each image, by a small dataset of those that were made."""
    number = min(images, _WRITTEN, job.output.shard_size)
    with scratch() as folder, temporary_errors():
        target = folder / "trial"
        target.mkdir()
        work = replace(
            job.work(begin_counts(folder, 1), folder),
            producer=Replayed(job.producer, list(islice(cycle(made), number))),
            store=LocalStore(target, durable=False),
        )
        begin = time.perf_counter()
        render_shard(ShardTask(work, Shard(0, 0, number), 0))
        seconds = time.perf_counter() - begin
        used = sum(math.ceil(size / _BLOCK) * _BLOCK for size in _sizes(target))
        return seconds / number, used / number


def _sizes(folder: Path) -> list[int]:
    return [
        os.stat(os.path.join(place, name)).st_size
        for place, _, names in os.walk(folder)
        for name in names
    ]


def _together(producer: Producer, effort: Estimate, workers: int) -> float:
    """How fast so many threads are, by what so many processes would be: Python lets one go on."""
    indices = count()
    begin = time.perf_counter()

    def work(_: int) -> None:
        while time.perf_counter() - begin < _SECONDS:
            index = next(indices)
            next(producer.images(Shard(0, index, index + 1)))

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    done, seconds = next(indices), time.perf_counter() - begin
    return min(1.0, done / seconds * effort.each / effort.cores.given(workers))
