"""How large and how long: measured on the first images, said before anything is written."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from singleimg.errors import UserError

_IMAGES, _SECONDS = 8, 0.5  # enough for the order of magnitude, not felt by anyone
_BLOCK = 4096  # bytes; what a file occupies is rounded up to blocks of this size


@dataclass(frozen=True)
class Estimate:
    """What the images still to be made will take.

    seconds: of one core, shared out among workers. once: of what each process pays once, such as
    decoding a picture. bytes: of the images. disk: what these occupy as files.
    """

    seconds: float
    bytes: int
    once: float = 0
    disk: int = 0

    def wall(self, workers: int) -> float:
        """Seconds until all is made."""
        return self.once + self.seconds / workers

    def describe(self, workers: int) -> str:
        """Size and time for a person."""
        return f"about {size(self.bytes)}, {duration(self.wall(workers))}"


def estimate(make: Callable[[int], bytes], num_imgs: int, pictures: int = 1) -> Estimate:
    """Makes the first few images twice, drops them, and multiplies.

    The first time pays for what is paid once (a picture is decoded, its levels are made), the
    second one for itself alone. pictures: how many there are, of which few may be seen here.
    """
    used, rates, once = [], [], []
    begin = time.perf_counter()
    for index in range(min(_IMAGES, num_imgs)):
        start = time.perf_counter()
        make(index)
        again = time.perf_counter()
        used.append(len(make(index)))
        end = time.perf_counter()
        rates.append(end - again)
        once.append(max(0.0, again - start - rates[-1]))
        if end - begin > _SECONDS:
            break
    blocks = sum(math.ceil(one / _BLOCK) for one in used) * _BLOCK / len(used)
    more = max(0, min(pictures, num_imgs) - len(once)) * sum(once[1:]) / max(len(once) - 1, 1)
    return Estimate(
        seconds=sum(rates) / len(rates) * num_imgs,
        bytes=math.ceil(sum(used) / len(used) * num_imgs),
        once=more,
        disk=math.ceil(blocks * num_imgs),
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


def size(count: float) -> str:
    """Bytes in decimal units, as disks are sold and ``df -H`` prints them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def duration(seconds: float) -> str:
    """``3 s``, ``12 min``, ``3 h 40 min``."""
    if seconds < 100:
        return f"{math.ceil(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
