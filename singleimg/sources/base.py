"""What every source owes: a name, a length and ``load(k)``."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from math import isqrt
from typing import NamedTuple

import numpy as np
from PIL import Image

from singleimg.errors import UserError, misfit

WHITE = (255, 255, 255)
_FEWEST = 64  # pixels of a picture that is shrunk
_STRIP = 1 << 16  # pixels that are converted at a time: what is held of them does not count


class Decoded(NamedTuple):
    """A picture: ``uint8`` H×W×3, RGB, which nobody writes into; and the name of the colour
    profile that it was converted from."""

    pixels: np.ndarray
    profile: str | None = None


class Source(ABC):
    """One image or several. ``name`` (letters, digits, ``-_``) stands in names of folders.

    A source is small and picklable: it holds no pixels, every process loads its own, once.
    ``pixels``: its images are shrunk to about so many, see :func:`shrunk`; None: as they are.
    """

    name: str
    pixels: int | None = None

    @abstractmethod
    def __len__(self) -> int:
        """How many images."""

    @abstractmethod
    def load(self, k: int) -> np.ndarray | Image.Image:
        """Image ``k``, 0 … len - 1: ``uint8`` H×W×3 in RGB, or a Pillow image."""

    def decoded(self, k: int, convert: bool = True) -> Decoded:
        """Image ``k`` as all others ask for it, shrunk to ``pixels``; ``convert=False`` takes its
        profile for sRGB.

        Raises UserError when :meth:`load` gives another thing than it owes.
        """
        image = pixels = self.load(k)
        if isinstance(image, Image.Image) and min(image.size):
            pixels = in_strips(
                image.size,
                lambda top, bottom: image.crop((0, top, image.width, bottom)).convert("RGB"),
            )
        shape = getattr(pixels, "shape", ())
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or shape[2:] != (3,):
            raise misfit(
                f"{type(self).__name__}.load({k})", image, "uint8 H×W×3 in RGB, or a Pillow image,"
            )
        return shrunk(Decoded(pixels), self.pixels)

    def check(self) -> None:  # noqa: B027, what is made here is always there
        """Raises UserError for a picture that is not there or cannot be one; decodes none."""

    @abstractmethod
    def where(self, k: int) -> str:
        """What a person types for image ``k``: ``imgpath=…``."""


def hashes(source: Source) -> list[str]:
    """SHA-256 of each image: of its size as ``2560x1920`` and a newline, and its RGB bytes."""
    return examine(source).hashes


class Examined(NamedTuple):
    """What is known of a source's pictures once each was looked at.

    profiles: names of the colour profiles that were converted. sizes: heights and widths, pixels.
    """

    hashes: list[str]
    profiles: set[str]
    sizes: list[tuple[int, int]]


def examine(source: Source) -> Examined:
    """Looks at each picture once."""
    count = type(source).__len__(source)
    if type(count) is not int or count < 1:
        raise misfit(f"{type(source).__name__}.__len__", count, "a whole number of 1 or more")
    found, profiles, sizes = [], set(), []
    for k in range(count):
        pixels, profile = source.decoded(k)
        found.append(pixel_hash(pixels))
        profiles |= {profile} if profile else set()
        sizes.append(pixels.shape[:2])
    return Examined(found, profiles, sizes)


def pixel_hash(pixels: np.ndarray) -> str:
    """SHA-256 of ``uint8`` H×W×3, as in :func:`hashes`."""
    height, width = pixels.shape[:2]
    digest = hashlib.sha256(f"{width}x{height}\n".encode())
    digest.update(np.ascontiguousarray(pixels))
    return digest.hexdigest()


def in_strips(
    size: tuple[int, int], strip: Callable[[int, int], Image.Image], orientation: int = 1
) -> np.ndarray:
    """A picture of ``size`` as ``uint8`` H×W×3: its rows from top to bottom as ``strip`` gives them
    in RGB, and the whole turned by EXIF's ``orientation``.

    What holds the picture takes up to 4 bytes a pixel: one copy of the whole may stand beside it.
    """
    width, height = size
    across, down = orientation in (2, 3, 6, 7), orientation in (3, 4, 7, 8)
    lying = orientation in (5, 6, 7, 8)
    pixels = np.empty((width, height, 3) if lying else (height, width, 3), np.uint8)
    stored = pixels[:: -1 if down else 1, :: -1 if across else 1]
    stored = stored.swapaxes(0, 1) if lying else stored
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        stored[top:bottom] = strip(top, bottom)
    return pixels


def shrunk(decoded: Decoded, pixels: int | None) -> Decoded:
    """``decoded`` of about ``pixels``, in its own proportions; as it is where it has no more.

    Pillow's bicubic with antialiasing: weights made by + - × ÷ alone, sums of integers.
    """
    height, width = decoded.pixels.shape[:2]
    if pixels is None or height * width <= pixels:
        return decoded
    size = max(1, isqrt(pixels * width // height)), max(1, isqrt(pixels * height // width))
    small = Image.fromarray(decoded.pixels).resize(size, Image.Resampling.BICUBIC)
    return decoded._replace(pixels=np.asarray(small))


def check_pixels(pixels: int | None) -> None:
    if pixels is not None and (type(pixels) is not int or pixels < _FEWEST):
        raise UserError(
            f"image.pixels={pixels} is not a whole number of {_FEWEST} or more: type for example "
            "image.pixels=135000."
        )


def safe_name(text: str) -> str:
    """``text`` with everything but letters, digits, ``-`` and ``_`` turned into ``_``; 1 … 100."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", str(text)).strip("_")[:100] or "image"


def check_name(name: str) -> None:
    if name != safe_name(name):
        raise UserError(
            f"image.name={name} is not made of letters, digits, - and _: type for example "
            f"image.name={safe_name(name)}."
        )


def check_sides(width: int, height: int) -> None:
    if not all(type(side) is int and 8 <= side <= 16384 for side in (width, height)):
        raise UserError(
            f"image.width={width} and image.height={height} are not both from 8 to 16384 pixels: "
            "type for example image.width=2560 image.height=1920."
        )


def checked_colour(colour: Sequence[int], key: str = "background") -> tuple[int, ...]:
    checked = tuple(colour)
    if len(checked) != 3 or not all(type(c) is int and 0 <= c <= 255 for c in checked):
        raise UserError(
            f"image.{key}={list(checked)} is not a colour, three whole numbers from 0 to 255: "
            f"type for example 'image.{key}=[255,255,255]'."
        )
    return checked
