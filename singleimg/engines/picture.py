"""A decoded source as engines read it, and the same pixels for every process of a run."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from singleimg.errors import UserError
from singleimg.sources.base import Source, pixel_hash

_SMALLEST = 64  # pixels; a level smaller than that helps nobody


class Picture:
    """One source image: ``pixels``, ``uint8`` H×W×3, and half sizes of it made when asked for.

    ``levels``: how many halvings :meth:`level` offers; 0 for a picture that is used only once.
    """

    def __init__(self, pixels: np.ndarray, levels: int = 0) -> None:
        self.pixels = pixels
        self.levels = levels
        self._halved = {0: pixels}

    @classmethod
    def of_source(cls, pixels: np.ndarray) -> Picture:
        """A picture from which many images are rendered."""
        return cls(pixels, max(0, (min(pixels.shape[:2]) // _SMALLEST).bit_length() - 1))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, pixels."""
        return self.pixels.shape[:2]

    @cached_property
    def image(self) -> Image.Image:
        """The same as a Pillow image."""
        return Image.fromarray(self.pixels)

    def level(self, k: int) -> np.ndarray:
        """The picture halved ``k`` times: each pixel is the mean of 2^k × 2^k, rounded once."""
        if k not in self._halved:
            import cv2  # only the engines that have it ask for levels

            size = 2**k
            height, width = (length // size for length in self.size)
            # A whole number of pixels each, or OpenCV would take means of parts of them.
            whole = self.pixels[: height * size, : width * size]
            self._halved[k] = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
        return self._halved[k]


class Pictures:
    """The pictures of a source; ``folder`` is where :meth:`share` put them, if it did.

    ``expected`` are their hashes (``source.hashes``), if known: a picture that was replaced after a
    dataset was begun must not come into it, so that :meth:`load` raises UserError. kept: how many a
    process keeps at hand. room: bytes that are shared, at most.
    """

    kept, room = 8, 4_000_000_000

    def __init__(
        self, source: Source, folder: Path | None = None, expected: Sequence[str] | None = None
    ) -> None:
        self.source, self.folder, self.expected = source, folder, expected
        self.sizes: dict[int, tuple[int, int]] = {}  # of those that were loaded
        self.load = lru_cache(maxsize=self.kept)(self._load)

    def __reduce__(self) -> tuple[type[Pictures], tuple, dict[str, Any]]:
        return Pictures, (self.source, self.folder, self.expected), {"sizes": self.sizes}

    def __len__(self) -> int:
        return len(self.source)

    def size_of(self, k: int) -> tuple[int, int]:
        """Height and width of picture ``k``."""
        if k not in self.sizes:  # many are asked for, of which few are kept
            self.load(k)
        return self.sizes[k]

    def _load(self, k: int) -> Picture:
        picture = self._found(k)
        self.sizes[k] = picture.size
        return picture

    def _found(self, k: int) -> Picture:
        file = self.folder / f"{k}.npy" if self.folder else None
        if file and file.exists():
            # Copy-on-write: nobody writes, and torch would warn of an array that it could not.
            return Picture.of_source(np.load(file, mmap_mode="c").view(np.ndarray))
        pixels = self.source.decoded(k).pixels
        if self.expected is not None and pixel_hash(pixels) != self.expected[k]:
            # It may be of a dataset from before profiles were read.
            pixels = self.source.decoded(k, convert=False).pixels
            if pixel_hash(pixels) != self.expected[k]:
                raise UserError(
                    f"{self.source.where(k)} has changed since this dataset was begun: put the old "
                    "picture back, or type another targetpath."
                )
        return Picture.of_source(pixels)

    def shared_in(self, folder: Path) -> Pictures:
        """The same pictures, where :meth:`share` put them."""
        shared = Pictures(self.source, folder, self.expected)
        shared.sizes = self.sizes
        return shared

    def share(self, folder: Path) -> None:
        """Puts decoded pictures into ``folder``, which other processes then map into memory.

        What does not fit (4 GB, half of the free disk) every process decodes for itself.
        """
        room = min(self.room, shutil.disk_usage(folder).free // 2)
        for k in range(len(self)):
            pixels = self.load(k).pixels
            room -= pixels.nbytes
            if room < 0:
                return
            temporary = folder / f".tmp-{k}.npy"
            np.save(temporary, pixels)
            temporary.rename(folder / f"{k}.npy")
