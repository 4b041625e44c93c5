"""Sizes, times and speeds as people read them."""

from __future__ import annotations

import math


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


def rate(count: float, seconds: float) -> str:
    """How many a second, in digits that mean something: ``1,467``, ``38``, ``0.25``."""
    speed = count / max(seconds, 1e-9)
    return f"{speed:,.0f}" if speed >= 9.95 else f"{speed:.2g}"
