"""What every source owes: a name, a length and ``load(k)``."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from singleimg.errors import UserError

WHITE = (255, 255, 255)
PROFILE = "singleimg_profile"  # in ``info`` of a picture: the colour profile that it had


class Source(ABC):
    """One image or several. ``name`` (letters, digits, ``-_``) stands in names of folders.

    A source is small and picklable: it holds no pixels, every process loads its own, once.
    """

    name: str

    @abstractmethod
    def __len__(self) -> int:
        """How many images."""

    @abstractmethod
    def load(self, k: int) -> Image.Image:
        """Image ``k``, 0 … len - 1, as 8-bit RGB."""

    def load_unconverted(self, k: int) -> Image.Image | None:
        """Image ``k`` with its colour profile taken for sRGB, as it was once; None: it has none."""
        return None

    @abstractmethod
    def where(self, k: int) -> str:
        """What a person types for image ``k``: ``imgpath=…``."""


def hashes(source: Source) -> list[str]:
    """SHA-256 of each image: of its size as ``2560x1920`` and a newline, and its RGB bytes."""
    return examine(source).hashes


class Examined(NamedTuple):
    """What is known of a source's pictures once each was looked at.

    profiles: names of the colour profiles that were converted. smallest: shorter side of the
    smallest picture, pixels.
    """

    hashes: list[str]
    profiles: set[str]
    smallest: int


def examine(source: Source) -> Examined:
    """Looks at each picture once."""
    found, profiles, smallest = [], set(), sys.maxsize
    for k in range(len(source)):
        image = source.load(k)
        found.append(pixel_hash(image))
        profiles |= {image.info[PROFILE]} if PROFILE in image.info else set()
        smallest = min(smallest, *image.size)
    return Examined(found, profiles, smallest)


def pixel_hash(image: Image.Image) -> str:
    """SHA-256 of an RGB image, as in :func:`hashes`."""
    head = f"{image.width}x{image.height}\n".encode()
    return hashlib.sha256(head + image.tobytes()).hexdigest()


def cache_folder() -> Path:
    """Where made and downloaded images are kept: $SINGLEIMG_CACHE, or the user's cache folder."""
    if own := os.environ.get("SINGLEIMG_CACHE"):
        return Path(own)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "singleimg"
    library = "Library/Caches" if sys.platform == "darwin" else ".cache"
    return Path.home() / library / "singleimg"


def safe_name(text: str) -> str:
    """``text`` with everything but letters, digits, ``-`` and ``_`` turned into ``_``; 1 … 100."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", str(text)).strip("_")[:100] or "image"


def check_name(name: str) -> None:
    if name != safe_name(name):
        raise UserError(
            f"image.name={name} is not made of letters, digits, - and _: type for example "
            f"image.name={safe_name(name)}."
        )


def checked_colour(background: Sequence[int]) -> tuple[int, ...]:
    colour = tuple(background)
    if len(colour) != 3 or not all(type(c) is int and 0 <= c <= 255 for c in colour):
        raise UserError(
            f"image.background={list(colour)} is not a colour, three whole numbers from 0 to 255: "
            "type for example image.background=[255,255,255]."
        )
    return colour
