"""One setting of the C library, for loops that take and give back megabytes each time round."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

_TRIM, _MMAP = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
_LARGE = 1 << 30


def give_back_memory() -> None:
    """Returns to the system what nobody uses any more, once the work is done."""
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def keep_freed_memory() -> None:
    """Has glibc keep what tensors give back for the next ones; elsewhere does nothing.

    By default it returns blocks of megabytes to the system at once and takes them anew, zeroed,
    page by page: a third of the time of a probe, a tenth of that of a small network.
    """
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):  # another C library
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(_MMAP, _LARGE)
            libc.mallopt(_TRIM, 2 * _LARGE - 1)
