"""How large and how long: what is paid once, what an image takes, and who else wants the cores."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from heapq import heapify, heappop, heapreplace
from itertools import islice
from math import inf
from pathlib import Path
from tempfile import gettempdir

from singleimg.errors import UserError
from singleimg.system.figures import duration, size

START = 0.7  # seconds of a core for a process and what it imports before its first task
_IDLE = 0.9  # of what a machine has: who gets so much is alone there


@dataclass(frozen=True)
class Cores:
    """all: that this process may use. rivals: processes of others that would run at any time.

    alone: what one process of ours gets.
    """

    all: float = 1
    rivals: float = 0
    alone: float = 1

    def given(self, workers: int) -> float:
        """Cores that so many processes of ours get together, each a fair share."""
        if workers == 1:
            return self.alone
        return min(workers, self.all * workers / (workers + self.rivals))


def measure_cores(workers: int, cores: int, seconds: float = 0.2) -> Cores:
    """What so many workers would get now, by as many threads that compute for so many seconds.

    Whatever takes its part shows: other programs, quotas, priorities.
    """
    data, most = bytes(1 << 20), min(workers, cores)

    def compute(end: float) -> None:
        while time.perf_counter() < end:
            sha256(data)  # which lets other threads go on

    for long in (seconds, 3 * seconds):  # among others, turns are to be many
        begin, used = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(compute, [begin + long] * workers))
        got = (time.process_time() - used) / max(time.perf_counter() - begin, 1e-9)
        if got > _IDLE * most:
            return Cores(cores)
    got = max(got, 0.01)
    return Cores(cores, max(0.0, cores * workers / got - workers), alone=min(1.0, got))


@dataclass(frozen=True)
class Estimate:
    """What the images still to be made will take.

    each: seconds of an image in a process that has a core to itself; writing: those of them that it
    takes to write it into its shard. bytes: of the images. disk: of the files that hold them,
    parts: of what lies beside them while they are made, at most. once: seconds before workers
    begin, for pictures that they share. start: of a core, that a worker process takes until it is
    at work. together: how fast threads are by what so many processes would be. wall: seconds of an
    image in one process that works alone, with what it waits for and decodes again.
    """

    images: int
    each: float
    bytes: int
    disk: int = 0
    parts: int = 0
    writing: float = 0
    once: float = 0
    start: float = 0
    together: float = 1
    wall: float = 0
    cores: Cores = field(default_factory=Cores)

    @property
    def seconds(self) -> float:
        """Of one process, but for what is paid once."""
        return max(self.wall, self.each) * self.images

    def pause(self, workers: int) -> float:
        """Seconds until all workers are at work."""
        shared = self.once / self.cores.given(1)
        return shared if workers == 1 else shared + self._each_gets(self.start, workers + 1)

    def takes(self, sizes: Sequence[float], workers: int) -> float:
        """Seconds from now to the end for chunks of so many images.

        Workers make them in turn once they have started, and the driver until then; all that are
        at work have equal shares of the cores.
        """
        if workers == 1:
            return self.pause(1) + self._each_gets(self.each * sum(sizes), 1)
        waiting = iter(sizes)
        # Seconds of a core that each has had when its chunk is done, and how many of them at most
        # it may have had to take another one.
        first = next(waiting)
        lanes = [(self.start + self.each * size, inf) for size in islice(waiting, workers)]
        lanes.append((self.each * first, self.start))
        heapify(lanes)
        taken, had = self.once / self.cores.given(1), 0.0
        while lanes:
            done, last = lanes[0]
            taken, had = taken + self._each_gets(done - had, len(lanes)), done
            size = next(waiting, None) if done < last else None
            if size is None:
                heappop(lanes)
            else:
                heapreplace(lanes, (done + self.each * size, last))
        return taken

    def tail(self, sizes: Sequence[float], workers: int) -> float:
        """How many times as long it takes, once all are at work, as if they were so to the end."""
        pieces = 100 * workers
        even = self.takes([sum(sizes) / pieces] * pieces, workers) - self.pause(workers)
        return max(1.0, (self.takes(sizes, workers) - self.pause(workers)) / max(even, 1e-9))

    def _each_gets(self, seconds: float, workers: int) -> float:
        """How long it takes until each of so many has had a core for so many seconds."""
        return seconds * workers / (self.cores.given(workers) * self.together)

    def describe(self, seconds: float) -> str:
        """Size and time for a person."""
        said = []
        if self.disk > 1.1 * self.bytes:
            said.append(f"{size(self.disk)} on disk")
        if self.parts > 0.1 * self.disk:
            said.append(f"{size(self.disk + self.parts)} meanwhile")
        disk = f" ({', '.join(said)})" if said else ""
        return f"about {size(self.bytes)}{disk}, {duration(seconds)}"


def check_temporary(needed: int) -> None:
    """Raises UserError when the system's folder for temporary files has no room for ``needed``."""
    folder = Path(gettempdir())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"The folder for temporary files, {folder}, needs about {size(needed)} during this "
            f"run, and {size(free)} are free: make room there, or type TMPDIR=/another/folder "
            "before the command."
        )


def check_disk(target: Path, needed: int, freed: int = 0) -> int:
    """Free bytes where ``target`` will lie; a UserError when ``needed`` do not fit.

    ``freed``: bytes that will be removed first.
    """
    place = next(path for path in (target, *target.parents) if path.exists())
    free = shutil.disk_usage(place).free + freed
    if needed > free:
        raise UserError(
            f"targetpath={target} needs about {size(needed)} and {size(free)} are free: type a "
            "smaller num_imgs, or a targetpath on another disk."
        )
    return free
