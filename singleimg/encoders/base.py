"""What every encoder owes: pixels in, the bytes of one image file out."""

from __future__ import annotations

import io
import json
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from singleimg.errors import UserError, misfit

SUFFIXES = {"jpeg": ".jpg", "png": ".png", "webp": ".webp"}  # of the files of these encodings


class Encoder(ABC):
    """The settings in ``conf/encode``; ``encoding`` stands in the recipe."""

    encoding: ClassVar[str]
    libraries: tuple[str, ...] = ()  # that write, by the names that pip knows

    @property
    def suffix(self) -> str:
        """The ending of a file's name, with its dot."""
        return suffix_of(self.encoding)

    def recipe(self) -> dict[str, Any]:
        """What of it decides bytes; UserError when :meth:`settings` gives no plain values."""
        settings = self.settings()
        try:
            json.dumps({**settings})
        except TypeError:
            owed = "a dict of plain values (texts, numbers, lists)"
            raise misfit(f"{type(self).__name__}.settings", settings, owed) from None
        return {"encoding": self.encoding, **settings}

    def file(self, pixels: np.ndarray) -> bytes:
        """What :meth:`encode` gives; UserError when that is no file."""
        data = self.encode(pixels)
        if type(data) is not bytes or not data:
            raise misfit(f"{type(self).__name__}.encode", data, "bytes of a file")
        return data

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What of the settings decides bytes, for the recipe, beside ``encoding``."""

    @abstractmethod
    def encode(self, pixels: np.ndarray) -> bytes:
        """The bytes of a file that shows ``pixels`` (``uint8`` H×W×3, RGB)."""


def suffix_of(encoding: str) -> str:
    """The ending of the files of an encoding, by its name in a recipe."""
    return SUFFIXES.get(encoding, f".{encoding}")


def by_pillow(pixels: np.ndarray, encoding: str, **options: Any) -> bytes:
    """The bytes of a file that Pillow writes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=encoding, **options)
    return buffer.getvalue()


def check_quality(quality: Any) -> None:
    """Raises UserError unless ``encode.quality`` is a whole number from 1 to 100."""
    if type(quality) is not int or not 1 <= quality <= 100:
        raise UserError(
            f"encode.quality={quality} is not a whole number from 1 to 100: "
            "type for example encode.quality=75."
        )
