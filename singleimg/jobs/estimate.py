"""How large and how long: measured on the first images, said before anything is written."""

from __future__ import annotations

import itertools
import math
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from singleimg.errors import UserError

_IMAGES, _SECONDS = 8, 0.5  # enough for the order of magnitude, not felt by anyone
_BLOCK = 4096  # bytes; what a file occupies is rounded up to blocks of this size


@dataclass(frozen=True)
class Estimate:
    """What the images still to be made will take: core seconds and bytes on disk."""

    seconds: float
    bytes: int

    def describe(self, workers: int) -> str:
        """Size and time for a person."""
        return f"about {size(self.bytes)}, {duration(self.seconds / workers)}"


def estimate(images: Iterator[tuple[bytes, Any]], num_imgs: int) -> Estimate:
    """Makes the first few of ``images`` (their bytes come first), drops them, and multiplies."""
    used, seconds = [], []
    begin = start = time.perf_counter()
    for data, _ in itertools.islice(images, _IMAGES):
        now = time.perf_counter()
        used.append(len(data))
        seconds.append(now - start)
        start = now
        if now - begin > _SECONDS:
            break
    blocks = sum(math.ceil(one / _BLOCK) for one in used) / len(used)
    typical = seconds[1:] or seconds  # the first image pays for what is set up once
    return Estimate(sum(typical) / len(typical) * num_imgs, math.ceil(blocks * _BLOCK * num_imgs))


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
