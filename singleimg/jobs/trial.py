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

import numpy as np

from singleimg.errors import UserError
from singleimg.jobs.estimate import START, Cores, Estimate, measure_cores
from singleimg.jobs.job import Job
from singleimg.jobs.producers import Made, Producer, Replayed
from singleimg.jobs.progress import begin_counts
from singleimg.jobs.work import Task
from singleimg.jobs.worker import render_chunk
from singleimg.storage.local import LocalStore
from singleimg.storage.shards import Shard
from singleimg.system.cores import available_cores
from singleimg.system.tempdir import scratch

_IMAGES, _SECONDS = 8, 0.25  # so many images and so long, at least
_MOST, _SHARE = 1.0, 0.06  # seconds, and of all that will take: longer than both is too long
_ERROR = 0.1  # of the mean, that may be left where images differ
_GOLDEN = (math.sqrt(5) - 1) / 2  # whose multiples fill an interval evenly
_PART = 20  # of few images no more than one in so many
_WRITTEN = 256  # images, of which a few kilobytes of a file's own are a small part
_BLOCK = 4096  # bytes; what a file occupies is rounded up to blocks of this size
_FEW = 5.0  # seconds; of less work it does not matter who else works
_WALL, _USED = 0, 1  # the two clocks


def try_out(job: Job, todo: Sequence[Shard]) -> Estimate:
    """Makes some images as one worker would, and writes them into a folder that goes at once.

    What is paid once is told apart by making an image again where it took long.
    """
    producer, images = job.producer, sum(map(len, todo))
    begin = time.process_time()
    producer.set_up_process()
    rendering = _Rendering(producer, job.num_imgs)
    rendering.step()
    start = time.process_time() - begin + START
    start -= float(sum(one[_USED] for one in (*rendering.loads, *rendering.again)))
    begin = time.perf_counter()
    while len(rendering.made) < min(images, max(_IMAGES, images // _PART)):
        spent = time.perf_counter() - begin
        likely = rendering.mean * (1 + 2 * rendering.error)
        if spent > max(_MOST, _SHARE * images * likely / job.workers):
            break
        if spent > _SECONDS and len(rendering.made) >= _IMAGES and rendering.error < _ERROR:
            break
        rendering.step()
    writing, disk = _write(job, rendering.made, images) if job.writes else (np.zeros(2), 0.0)
    each = writing + np.mean(rendering.again, 0)
    effort = Estimate(
        images=images,
        each=each[_WALL],
        wall=(each + rendering.pictures(shared=False)[0])[_WALL],
        bytes=math.ceil(fmean(len(data) for data, _ in rendering.made) * images),
        disk=math.ceil(disk * images),
        start=0 if job.backend.in_threads else start,
    )
    plan = job.plan(effort, todo)
    workers = plan.workers
    more, once = rendering.pictures(shared=workers > 1 and not job.backend.in_threads)
    cores = Cores(available_cores())
    if (each + more)[_WALL] * images > _FEW:
        cores = measure_cores(workers, cores.all)
    # Alone, who waits has something to wait for; among others, for a core most of the time.
    clock = _USED if cores.given(workers) < min(workers, cores.all) else _WALL
    if clock == _USED:
        wall, used = np.sum([*rendering.loads, *rendering.again], 0)
        cores = replace(cores, alone=float(min(1.0, max(used / max(wall, 1e-9), 0.01))))
    effort = replace(
        effort, each=(each + more)[clock], writing=writing[clock], once=once[clock],
        cores=cores, parts=plan.parts(effort),
    )  # fmt: skip
    if job.backend.in_threads and workers > 1:
        effort = replace(effort, together=_together(producer, effort, workers))
    return effort


def _now() -> np.ndarray:
    """The clock on the wall, and that of the time this process had a core; seconds."""
    return np.array([time.perf_counter(), time.process_time()])


class _Rendering:
    """Images made one by one, from all over a set of so many: seconds of each, and of what came
    before it the first time.

    Seconds are by both clocks of :func:`_now`.
    """

    def __init__(self, producer: Producer, images: int) -> None:
        self._producer, self._images = producer, images
        self._slowest = 0.0  # seconds of a core
        self.made: list[Made] = []
        self.again: list[np.ndarray] = []  # an image by itself
        self.loads: list[np.ndarray] = []  # a picture decoded
        self.levels: list[np.ndarray] = []  # what is made of a picture when first used
        self._nbytes: list[int] = []

    @property
    def mean(self) -> float:
        """Seconds of a core for an image by itself."""
        return float(np.mean(self.again, 0)[_USED])

    @property
    def error(self) -> float:
        """How far from the true mean this one may well be, as a part of it."""
        used = np.array(self.again)[:, _USED]
        return float(used.std() / max(used.mean(), 1e-9) / math.sqrt(len(used)))

    def step(self) -> None:
        """One more."""
        index = len(self.made)
        if self._producer.pictures is not None:  # else images are read, in their order
            index = int(index * _GOLDEN % 1 * self._images)
        misses = self._misses()
        begin = _now()
        self._nbytes.append(self._producer.load(index))
        loaded = _now()
        self.made.append(self._make(index))
        first = again = _now() - loaded
        new = self._misses() > misses
        if new:
            self.loads.append(loaded - begin)
        # Something may have been imported or prepared, if it took longer than any before.
        if new or len(self.made) <= _IMAGES or first[_USED] > 1.5 * self._slowest:
            begin = _now()
            self._make(index)
            again = _now() - begin
            if len(self.made) > 1:  # the first one waits for modules, too
                self.levels.append(first - again)
        self.again.append(again)
        self._slowest = max(self._slowest, again[_USED])

    def pictures(self, shared: bool) -> tuple[np.ndarray, np.ndarray]:
        """Seconds to be added to each image, and once: for pictures that were not decoded yet.

        A process keeps a few; of more than those each image may need one that it dropped. Workers
        map into memory what the driver has decoded, as far as there is room.
        """
        pictures = self._producer.pictures
        if pictures is None or not self.loads:
            return np.zeros(2), np.zeros(2)
        number, kept = len(pictures), pictures.kept
        load = np.mean(self.loads, 0)
        level = np.maximum(0, np.mean(self.levels or [np.zeros(2)], 0))
        missing = max(0.0, 1 - kept / number)
        if not shared:
            rest = max(0, number - len(self.loads)) if number <= kept else 0
            return missing * (load + level), rest * (load + level)
        room = min(1.0, pictures.room / max(number * fmean(self._nbytes), 1))
        whole = load + level  # workers map both
        once = number * room * whole if number > kept else (number - len(self.loads)) * whole
        return missing * (1 - room) * whole, np.maximum(0, once)

    def _make(self, index: int) -> Made:
        return next(self._producer.images(Shard(0, index, index + 1)))

    def _misses(self) -> int:
        pictures = self._producer.pictures
        return 0 if pictures is None else pictures.load.cache_info().misses


def _write(job: Job, made: Sequence[Made], images: int) -> tuple[np.ndarray, float]:
    """Seconds and bytes on disk for each image, by a small dataset of those that were made."""
    number = min(images, _WRITTEN, job.output.shard_size)
    try:
        with scratch() as folder:
            for name, many in (("imports", 1), ("trial", number)):
                target = folder / name
                target.mkdir()
                work = replace(
                    job.work(begin_counts(folder, 1), folder),
                    producer=Replayed(job.producer, list(islice(cycle(made), many))),
                    store=LocalStore(target, durable=False),
                )
                begin = _now()
                shard = Shard(0, 0, many)
                render_chunk(Task(work, shard, shard, many, 0))
                seconds = _now() - begin
            return seconds / number, sum(map(_blocks, _sizes(target))) / number
    except (UserError, OSError):  # of the folder for temporary files: the run itself may succeed
        return np.zeros(2), fmean(_blocks(len(data)) for data, _ in made)


def _blocks(size: int) -> int:
    return math.ceil(size / _BLOCK) * _BLOCK


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
            index = next(indices) % effort.images
            next(producer.images(Shard(0, index, index + 1)))

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    done, seconds = next(indices), time.perf_counter() - begin
    return min(1.0, done / seconds * effort.each / effort.cores.given(workers))
