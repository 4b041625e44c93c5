"""The compiled raster as Python sees it: found, loaded, and one of its kernels chosen.

In a checkout whose C files changed it is compiled first, by the process that needs it first: that
is the driver, which tries out an image before it starts workers.
"""

from __future__ import annotations

import os
import shlex
from ctypes import CDLL, c_char_p, c_int32, c_void_p
from dataclasses import dataclass
from functools import cache

from singleimg.engines.raster import build
from singleimg.errors import UserError, did_you_mean
from singleimg.system.extras import CHECKOUT
from singleimg.system.logs import log

VARIABLE = "SINGLEIMG_KERNEL"
KERNELS = ("plain", "avx2", "avx512", "neon")


@dataclass(frozen=True)
class Library:
    """``functions``: those of ``raster.c``, called without the GIL. ``kernels``: the table that
    they are given first. ``kernel``: its name. A process loads its own; it cannot be pickled."""

    functions: CDLL
    kernels: c_void_p
    kernel: str


def load() -> Library:
    """The library with the kernel that ``SINGLEIMG_KERNEL`` names, or the processor's fastest.

    Raises UserError where it is missing and cannot be compiled, and for a kernel that is not there.
    """
    return _load(os.environ.get(VARIABLE, ""))


@cache
def _load(name: str) -> Library:
    if name and name not in KERNELS:
        raise UserError(
            f"{VARIABLE}={name} is not a kernel{did_you_mean(name, KERNELS)}: type one of "
            f"{', '.join(KERNELS)}, or leave it out for the fastest."
        )
    functions = _functions()
    usable = [one for one in KERNELS if functions.raster_kernels(one.encode())]
    if name and name not in usable:
        raise UserError(
            f"{VARIABLE}={name} is not supported by this processor: type {' or '.join(usable)}, or "
            "leave it out for the fastest."
        )
    kernels = c_void_p(functions.raster_kernels(name.encode()))
    return Library(functions, kernels, functions.raster_kernel(kernels).decode())


@cache
def _functions() -> CDLL:
    """The library with the types of its functions; compiled, where a checkout's is missing."""
    path = build.library_path()
    try:
        if not path.exists() and CHECKOUT is not None:
            log.info("Compiling the raster, whose C files are new.")
            path = build.ensure()
        functions = CDLL(str(path))
    except (OSError, build.CompileError) as error:
        again = "install singleimg again from its sources"
        if CHECKOUT is not None:
            again = f"type pip install -e {shlex.quote(str(CHECKOUT))}, which compiles it again"
        raise UserError(
            f"The compiled raster cannot be used ({' '.join(str(error).split())}): fix that, or "
            f"{again}, or type engine=reference, which does not need it."
        ) from error
    functions.raster_version.restype = c_int32
    functions.raster_kernels.argtypes, functions.raster_kernels.restype = [c_char_p], c_void_p
    functions.raster_kernel.argtypes, functions.raster_kernel.restype = [c_void_p], c_char_p
    return functions
