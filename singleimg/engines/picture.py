"""A decoded source as engines read it, and the same pixels for every process of a run."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from statistics import fmean
from threading import Lock
from typing import Any

import numpy as np
from PIL import Image

from singleimg.engines.raster.call import Levels, Raster
from singleimg.engines.raster.pyramid import levels_of
from singleimg.errors import UserError
from singleimg.sources.base import Source, pixel_hash

_MOST = 64  # levels; each halves the area,
_LEVELS = 2  # so that all of them together are twice as large as the picture
_MAPPED = 1000  # pictures; Linux lets a process map 65,530 files


class Picture:
    """One source image: ``pixels``, ``uint8`` H×W×3, and its levels made when asked for.

    ``smaller``: the levels over 0, if somebody made them before.
    """

    def __init__(self, pixels: np.ndarray, smaller: Sequence[np.ndarray] | None = None) -> None:
        self.pixels = pixels
        self._lock = Lock()
        self._levels = None if smaller is None else Levels([pixels, *smaller])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self.pixels.shape[:2]

    @cached_property
    def image(self) -> Image.Image:
        """The same as a Pillow image."""
        return Image.fromarray(self.pixels)

    def levels(self, raster: Raster) -> Levels:
        """The sizes that the raster reads, made once."""
        if self._levels is None:
            with self._lock:
                if self._levels is None:
                    self._levels = Levels(levels_of(self.pixels, raster))
        return self._levels

    def smaller(self) -> Sequence[np.ndarray]:
        """The levels over 0 that were made, if any were."""
        return () if self._levels is None else self._levels.pixels[1:]

    @property
    def nbytes(self) -> int:
        """Of the pixels, and of the levels that were made."""
        return self.pixels.nbytes + sum(level.nbytes for level in self.smaller())


class Pictures:
    """The pictures of a source; ``folder`` is where :meth:`share` put them, if it did.

    ``expected`` are their hashes (``source.hashes``), if known: a picture that was replaced after a
    dataset was begun must not come into it, so that :meth:`load` raises UserError. sizes: heights
    and widths of those that somebody looked at. kept: bytes that a process keeps at hand of what it
    has decoded, one picture at least. room: bytes that are shared, at most.
    """

    kept, room = 400_000_000, 4_000_000_000

    def __init__(
        self, source: Source, folder: Path | None = None, expected: Sequence[str] | None = None
    ) -> None:
        self.source, self.folder, self.expected = source, folder, expected
        self.sizes: dict[int, tuple[int, int]] = {}
        self._decoded: dict[int, Picture] = {}  # the one that was asked for last comes last
        self._lock = Lock()
        self._mapped = lru_cache(maxsize=_MAPPED)(self._map)

    def __reduce__(self) -> tuple[type[Pictures], tuple, dict[str, Any]]:
        return Pictures, (self.source, self.folder, self.expected), {"sizes": self.sizes}

    def __len__(self) -> int:
        return len(self.source)

    def size_of(self, k: int) -> tuple[int, int]:
        """Height and width of picture ``k``."""
        if k not in self.sizes:  # many are asked for, of which few are kept
            self.load(k)
        return self.sizes[k]

    def load(self, k: int) -> Picture:
        """Picture ``k``, which is kept for a while."""
        picture = self._mapped(k) or self._at_hand(k)
        if picture is None:
            picture = self._decode(k)
            self._keep(k, picture)
        self.sizes[k] = picture.size
        return picture

    def keeps(self, nbytes: float) -> int:
        """How many pictures of so many bytes, levels included, are at hand at a time."""
        return max(1, int(self.kept / nbytes))

    def _at_hand(self, k: int) -> Picture | None:
        with self._lock:
            if k in self._decoded:
                self._decoded[k] = self._decoded.pop(k)
            return self._decoded.get(k)

    def _keep(self, k: int, picture: Picture) -> None:
        """Drops those that were asked for longest ago."""
        with self._lock:
            self._decoded[k] = picture
            most = self.keeps(fmean(_LEVELS * one.pixels.nbytes for one in self._decoded.values()))
            while len(self._decoded) > most:
                del self._decoded[next(iter(self._decoded))]

    def _map(self, k: int) -> Picture | None:
        file = self.folder / f"{k}.npy" if self.folder else None
        if file is None or not file.exists():
            return None
        smaller = [_memory_of(self.folder / f"{k}-{level}.npy") for level in range(1, _MOST)]
        present = [level for level in smaller if level is not None]
        return Picture(_memory_of(file), present or None)

    def _decode(self, k: int) -> Picture:
        pixels = self.source.decoded(k).pixels
        if self.expected is not None and pixel_hash(pixels) != self.expected[k]:
            # It may be of a dataset from before profiles were read.
            pixels = self.source.decoded(k, convert=False).pixels
            if pixel_hash(pixels) != self.expected[k]:
                raise UserError(
                    f"{self.source.where(k)} has changed since this dataset was begun: put the old "
                    "picture back, or type another targetpath."
                )
        return Picture(pixels)

    def shared_in(self, folder: Path) -> Pictures:
        """The same pictures, where :meth:`share` put them."""
        shared = Pictures(self.source, folder, self.expected)
        shared.sizes = self.sizes
        return shared

    def share(
        self, folder: Path, prepare: Callable[[Picture], None] = lambda picture: None
    ) -> None:
        """Puts decoded pictures, and the levels that ``prepare`` makes of them, into ``folder``,
        which other processes then map into memory.

        What does not fit (4 GB, half of the free disk) every process decodes for itself.
        """
        room = min(self.room, shutil.disk_usage(folder).free // 2)
        for k in range(len(self)):
            picture = self.load(k)
            prepare(picture)
            room -= picture.nbytes
            if room < 0:
                return
            levels = [*enumerate(picture.smaller(), start=1), (0, picture.pixels)]
            for level, pixels in levels:  # the picture last: who finds it finds them all
                temporary = folder / f".tmp-{k}.npy"
                np.save(temporary, pixels)
                temporary.rename(folder / (f"{k}-{level}.npy" if level else f"{k}.npy"))


class Few(Pictures):
    """Some of a source's pictures as if they were all; kept and decoded by the whole."""

    def __init__(self, pictures: Pictures, numbers: Sequence[int]) -> None:
        self._pictures, self._numbers = pictures, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def size_of(self, k: int) -> tuple[int, int]:
        return self._pictures.size_of(self._numbers[k])

    def load(self, k: int) -> Picture:
        return self._pictures.load(self._numbers[k])

    def shared_in(self, folder: Path) -> Pictures:
        return self


def _memory_of(file: Path) -> np.ndarray | None:
    if not file.exists():
        return None
    # Copy-on-write: nobody writes, and torch would warn of an array that it could not.
    return np.load(file, mmap_mode="c").view(np.ndarray)
