"""The compiled functions as Python calls: pixels and steps in, pixels out.

A picture is ``uint8`` H×W×3. Calls release the GIL; each thread has a workspace of its own, which
grows to what its largest image needed.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from ctypes import POINTER, Structure, byref, c_int32, c_int64, c_void_p, cast
from enum import IntEnum

import numpy as np

from singleimg.engines.raster.library import load
from singleimg.errors import UserError

# One step of an image: see ``Step`` in c/raster.h.
STEP = np.dtype([("operation", "<i4"), ("whole", "<i4", 7), ("real", "<f8", 10)])

_OK, _WORKSPACE, _OUT = 0, 1, 2
_FIRST, _LARGEST = 1 << 20, 1 << 34  # bytes of a workspace


class Do(IntEnum):
    """What a step does, as in c/raster.h; ``PYTHON`` is nothing that the library knows."""

    NOTHING = 0
    CANVAS = 1
    ROTATED = 2
    RESIZE = 3
    CROP = 4
    FLIP_X = 5
    FLIP_Y = 6
    BLUR = 7
    COLOUR = 8
    PYTHON = 100


class _Level(Structure):
    _fields_ = (
        ("pixels", c_void_p), ("bytes", c_int64), ("height", c_int32), ("width", c_int32),
    )  # fmt: skip


class _Render(Structure):
    _fields_ = (
        ("levels", c_void_p), ("steps", c_void_p), ("taps", c_void_p), ("work", c_void_p),
        ("out", c_void_p), ("work_bytes", c_int64), ("out_bytes", c_int64),
        ("taps_count", c_int64), ("level_count", c_int32), ("step_count", c_int32),
        ("height", c_int32), ("width", c_int32),
    )  # fmt: skip


class Levels:
    """The sizes of a picture, the picture first, as the library reads them."""

    def __init__(self, pixels: Sequence[np.ndarray]) -> None:
        self.pixels = tuple(np.ascontiguousarray(level) for level in pixels)
        self.table = (_Level * len(self.pixels))(*map(_level, self.pixels))


def _level(pixels: np.ndarray) -> _Level:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"a picture is uint8 H×W×3, not {pixels.dtype} {pixels.shape}")
    return _Level(pixels.ctypes.data, pixels.nbytes, *pixels.shape[:2])


class Raster:
    """The library with one of its kernels; ``kernel``: its name."""

    def __init__(self) -> None:
        library = load()
        self.kernel, self._table = library.kernel, library.kernels
        self._render, self._level = library.functions.raster_render, library.functions.raster_level
        self._render.argtypes, self._render.restype = [c_void_p, POINTER(_Render)], c_int32
        self._level.restype = c_int32
        self._level.argtypes = [
            c_void_p, POINTER(_Level), c_void_p, c_int64, c_int32, c_int32, c_void_p, c_int64,
        ]  # fmt: skip
        self._own = threading.local()

    def render(self, levels: Levels, steps: np.ndarray, taps: np.ndarray) -> np.ndarray:
        """One image: ``steps`` (``STEP``, m) applied to a picture; memory of its own.

        taps: int16, weights of blurs that steps refer to. Raises UserError for sizes that are out
        of range.
        """
        own = self._own
        if not hasattr(own, "work"):
            own.work, own.call, own.size = np.empty(_FIRST, np.uint8), _Render(), (1, 1)
        call = own.call
        call.levels, call.level_count = cast(levels.table, c_void_p), len(levels.pixels)
        call.steps, call.step_count = steps.ctypes.data, len(steps)
        call.taps, call.taps_count = taps.ctypes.data, len(taps)
        out = np.empty((*own.size, 3), np.uint8)
        while True:
            call.work, call.work_bytes = own.work.ctypes.data, own.work.nbytes
            call.out, call.out_bytes = out.ctypes.data, out.nbytes
            code = self._render(self._table, byref(call))
            if code == _OUT or (code == _OK and out.shape[:2] != (call.height, call.width)):
                own.size = call.height, call.width
                out = np.empty((*own.size, 3), np.uint8)
            elif code == _WORKSPACE and own.work.nbytes < _LARGEST:
                own.work = np.empty(2 * own.work.nbytes, np.uint8)
            elif code != _OK:
                raise UserError(
                    f"the raster cannot make an image of these sizes (code {code}), since sides "
                    "are at most 16,384 pixels: type a smaller img_size, or engine=reference."
                )
            else:
                return out

    def resampled(self, pixels: np.ndarray, height: int, width: int) -> np.ndarray:
        """A picture at another size, by the lanczos filter: how levels are made."""
        out, work = np.empty((height, width, 3), np.uint8), np.empty(_FIRST, np.uint8)
        while True:
            code = self._level(
                self._table, byref(_level(pixels)), out.ctypes.data, out.nbytes, height, width,
                work.ctypes.data, work.nbytes,
            )  # fmt: skip
            if code == _WORKSPACE and work.nbytes < _LARGEST:
                work = np.empty(2 * work.nbytes, np.uint8)
            elif code != _OK:
                raise UserError(f"a picture of {pixels.shape[1]}×{pixels.shape[0]} pixels is too "
                                "large for engine=native: type engine=reference.")  # fmt: skip
            else:
                return out
