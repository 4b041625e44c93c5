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
from tempfile import gettempdir

import numpy as np

from singleimg.errors import UserError
from singleimg.jobs.estimate import START, Cores, Estimate, measure_cores
from singleimg.jobs.job import Job
from singleimg.jobs.plan import CHUNK
from singleimg.jobs.producers import Made, Producer, Replayed
from singleimg.jobs.progress import FileCounts
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
_PICTURES = 8  # are decoded, at most
_PART = 20  # of few images no more than one in so many
_LONG = 0.05  # seconds of a chunk, which need no larger one
_CHUNKS = 4  # so many show how they differ; those of so small a part of the largest do not count
_WRITTEN = 256  # images, of which a few kilobytes of a file's own are a small part
_BLOCK = 4096  # bytes; what a file occupies is rounded up to blocks of this size
_FEW = 5.0  # seconds; of less work it does not matter who else works
_WALL, _USED = 0, 1  # the two clocks


def try_out(job: Job, todo: Sequence[Shard]) -> Estimate:
    """Makes some images as one worker would, and writes them into a folder that goes at once.

    What is paid once is told apart by making images again where they took long.
    """
    producer, images = job.producer, sum(map(len, todo))
    begin = time.process_time()
    producer.set_up_process()
    start = time.process_time() - begin + START
    pictures = _Loading(producer, images)
    rendering = _Rendering(producer.few(pictures.numbers), job.num_imgs)
    most = min(images, max(_IMAGES, images // _PART))
    begin = time.perf_counter()
    while rendering.number < most:
        rendering.step(most - rendering.number)
        spent = time.perf_counter() - begin
        likely = rendering.mean[_USED] * (1 + 2 * rendering.error)
        if spent > max(_MOST, _SHARE * images * likely / job.workers):
            break
        if spent > _SECONDS and rendering.number >= _IMAGES and rendering.error < _ERROR:
            break
    start += float(rendering.paid[_USED])
    writing, disk = _write(job, rendering.made, images) if job.writes else (np.zeros(2), 0.0)
    each = writing + rendering.mean
    effort = Estimate(
        images=images,
        each=each[_WALL],
        wall=(each + pictures.cost(shared=False)[0])[_WALL],
        bytes=math.ceil(fmean(len(data) for data, _ in rendering.made) * images),
        disk=math.ceil(disk * images),
        start=0 if job.backend.in_threads else start,
    )
    plan = job.plan(effort, todo)
    workers = plan.workers
    more, once = pictures.cost(shared=workers > 1 and not job.backend.in_threads)
    cores = Cores(workers if job.backend.borrowed else available_cores())
    if not job.backend.borrowed and (each + more)[_WALL] * images > _FEW:
        cores = measure_cores(workers, cores.all)
    # Alone, who waits has something to wait for; among others, for a core most of the time.
    clock = _USED if cores.given(workers) < min(workers, cores.all) else _WALL
    if clock == _USED:
        wall, used = np.sum([*pictures.seconds, rendering.spent], 0)
        cores = replace(cores, alone=float(min(1.0, max(used / max(wall, 1e-9), 0.01))))
    effort = replace(
        effort, each=(each + more)[clock], writing=writing[clock], once=once[clock],
        cores=cores, parts=plan.parts(effort),
    )  # fmt: skip
    if job.backend.in_threads and workers > 1 and not job.backend.borrowed:
        alone = cores.given(workers) / rendering.mean[clock]  # of as many processes
        effort = replace(effort, together=min(1.0, rendering.by_threads(workers) / alone))
    return effort


def _now() -> np.ndarray:
    """The clock on the wall, and that of the time this process had a core; seconds."""
    return np.array([time.perf_counter(), time.process_time()])


class _Loading:
    """A few pictures from all over a source, as many as a second allows: ``numbers`` of them, and
    ``seconds`` to decode each and to make it ready for the engine, by both clocks."""

    def __init__(self, producer: Producer, images: int) -> None:
        self._pictures, self._images = producer.pictures, images
        self.numbers: list[int] = []
        self.seconds: list[np.ndarray] = []
        self._nbytes: list[int] = []
        if self._pictures is None:
            return
        few = min(len(self._pictures), _PICTURES)
        begin = time.perf_counter()
        for place in sorted(range(few), key=lambda place: place * _GOLDEN % 1):
            if self.numbers and (
                time.perf_counter() - begin > _MOST
                or len(self.numbers) == self._pictures.keeps(fmean(self._nbytes))
            ):
                break
            before = _now()
            self.numbers.append(place * len(self._pictures) // few)
            self._nbytes.append(producer.load(self.numbers[-1]))
            self.seconds.append(_now() - before)

    def cost(self, shared: bool) -> tuple[np.ndarray, np.ndarray]:
        """Seconds to be added to each image, and once: for pictures that are still to be loaded.

        A process keeps some; of more than those each image may need one that it dropped. Workers
        map into memory what the driver has loaded, as far as there is room.
        """
        if self._pictures is None:
            return np.zeros(2), np.zeros(2)
        number, load, nbytes = len(self._pictures), np.mean(self.seconds, 0), fmean(self._nbytes)
        kept = self._pictures.keeps(nbytes)
        missing = max(0.0, 1 - kept / number)
        if not shared:
            # Each image takes one of all: after so many images, as many as are kept were asked for.
            first = -number * math.log(missing) if missing else math.inf
            asked_for = number * -math.expm1(-min(first, self._images) / number)
            later = max(0.0, 1 - first / self._images)
            return missing * later * load, max(0.0, asked_for - len(self.numbers)) * load
        room = min(1.0, self._pictures.shares(nbytes, Path(gettempdir())) / number)
        rest = number * room if missing else number - len(self.numbers)
        return missing * (1 - room) * load, rest * load + number * room * self._sharing()

    def _sharing(self) -> np.ndarray:
        """Seconds to write a picture where workers map it."""
        try:
            with scratch() as folder:
                begin = _now()
                for k in self.numbers:
                    self._pictures.load(k).write(folder / str(k))
                return (_now() - begin) / len(self.numbers)
        except (UserError, OSError):  # the run itself says so
            return np.zeros(2)


class _Rendering:
    """Chunks of images, from all over a set of so many, ever larger ones: until what is paid for
    each chunk, to draw and to plan, is a small part of what its images take.

    Seconds are by both clocks of :func:`_now`. spent: for images; paid: once, before some of them.
    made: the first images. number: of all that were made.
    """

    def __init__(self, producer: Producer, images: int) -> None:
        self._producer, self._images = producer, images
        self._size = 1
        self._chunks: list[tuple[int, np.ndarray]] = []  # images, and seconds
        self._slowest = 0.0  # seconds of a core for an image
        self.spent, self.paid = np.zeros(2), np.zeros(2)
        self.made: list[Made] = []
        self.number = 0

    @property
    def mean(self) -> np.ndarray:
        """Seconds of an image by itself."""
        sizes, seconds = self._that_count()
        return seconds.sum(0) / sizes.sum()

    @property
    def error(self) -> float:
        """How far from the true mean this one may well be, as a part of it; 1: not known yet."""
        sizes, seconds = self._that_count()
        used, mean = seconds[:, _USED], self.mean[_USED]
        if len(sizes) < _CHUNKS:
            return 1.0
        return float(np.linalg.norm(used - sizes * mean) / max(used.sum(), 1e-9))

    def _that_count(self) -> tuple[np.ndarray, np.ndarray]:
        """Images, and seconds, of chunks that are large enough."""
        least = max(size for size, _ in self._chunks) / _CHUNKS
        chosen = [(size, seconds) for size, seconds in self._chunks if size >= least]
        return np.array([size for size, _ in chosen]), np.array([one for _, one in chosen])

    def step(self, most: int) -> None:
        """One more chunk, of ``most`` images or fewer."""
        size = min(self._size, most)
        if self._producer.pictures is None:  # images are read, in their order
            start = self.number
        else:
            start = int(self.number * _GOLDEN % 1 * (self._images - size + 1))
        chunk = Shard(0, start, start + size)
        seconds, made = self._make(chunk)
        # Something may have been imported or prepared, if it took longer than any before.
        if seconds[_USED] > 1.5 * size * self._slowest:
            first, (seconds, _) = seconds, self._make(chunk)
            self.paid += np.maximum(0, first - seconds)
        self.spent += seconds
        self._chunks.append((size, seconds))
        self._slowest = max(self._slowest, seconds[_USED] / size)
        self.made += made[: _WRITTEN - len(self.made)]
        self.number += size
        if seconds[_WALL] < _LONG:
            self._size = min(2 * self._size, CHUNK)

    def by_threads(self, threads: int) -> float:
        """Images in a second by so many threads at once."""
        indices, begin = count(), time.perf_counter()

        def work(_: int) -> None:
            while True:
                start = next(indices) * self._size % max(1, self._images - self._size)
                self._make(Shard(0, start, min(start + self._size, self._images)))
                if time.perf_counter() - begin > _SECONDS:
                    break

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
        return next(indices) * self._size / (time.perf_counter() - begin)

    def _make(self, chunk: Shard) -> tuple[np.ndarray, list[Made]]:
        begin = _now()
        made = list(self._producer.images(chunk))
        return _now() - begin, made


def _write(job: Job, made: Sequence[Made], images: int) -> tuple[np.ndarray, float]:
    """Seconds and bytes on disk for each image, by a small dataset of those that were made."""
    number = min(images, _WRITTEN, job.output.shard_size)
    try:
        with scratch() as folder:
            for name, many in (("imports", 1), ("trial", number)):
                target = folder / name
                target.mkdir()
                work = replace(
                    job.work(FileCounts.begin(folder, 1), folder),
                    producer=Replayed(job.producer, list(islice(cycle(made), many))),
                    store=LocalStore(target, durable=False),
                    versions=None,
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
