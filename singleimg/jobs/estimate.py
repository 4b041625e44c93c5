"""How large and how long: what is paid once, what an image takes, and who else wants the cores."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from singleimg.errors import UserError
from singleimg.system.figures import duration, size

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

    each: seconds of an image in a process that has a core to itself. bytes: of the images. disk:
    of the files that hold them. once: seconds before workers begin, for pictures that they share.
    start: of a core, that a worker process takes until it is at work. together: how fast threads
    are by what so many processes would be. wall: seconds of an image in one process that works
    alone, with what it waits for and decodes again.
    """

    images: int
    each: float
    bytes: int
    disk: int = 0
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
        return shared if workers == 1 else shared + self._starting(workers)

    def _starting(self, workers: int) -> float:
        return self.start * workers / self.cores.given(workers)

    def work(self, sizes: Sequence[int], workers: int) -> tuple[float, float]:
        """Seconds from then on for shards of so many images, and the same if they were cut finely.

        The driver makes the first one from the start, the workers the others.
        """
        even = longest = sum(sizes) / self._together(min(workers, len(sizes)))
        early = 0.0
        if workers > 1 and len(sizes) > 1:
            lanes = min(workers, len(sizes) - 1)
            rounds = math.ceil((len(sizes) - 1) / lanes) * max(sizes[1:])
            first = sizes[0] * (lanes + 1) / self._together(lanes + 1)
            longest = max(even, first, rounds * lanes / self._together(lanes))
            # While workers start, the driver has its share.
            alone = self.cores.given(workers + 1) / (workers + 1)
            early = self._starting(workers) * alone / max(self.each, 1e-9)
        part = 1 - min(early, sizes[0]) / sum(sizes)
        return longest * part * self.each, even * part * self.each

    def _together(self, workers: int) -> float:
        """How many images so many workers make while a process alone makes one."""
        return self.cores.given(workers) * self.together

    def takes(self, sizes: Sequence[int], workers: int) -> float:
        """Seconds from now to the end."""
        return self.pause(workers) + self.work(sizes, workers)[0]

    def describe(self, seconds: float) -> str:
        """Size and time for a person."""
        large = self.disk > 1.1 * self.bytes
        disk = f" ({size(self.disk)} on disk)" if large else ""
        return f"about {size(self.bytes)}{disk}, {duration(seconds)}"


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
