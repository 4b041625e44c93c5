"""Pixels → bytes of one image file."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from singleimg.errors import UserError

SUFFIXES = {"jpeg": ".jpg", "png": ".png", "webp": ".webp"}
SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")


@dataclass(frozen=True)
class Encoder:
    """Encodes ``uint8`` H×W×3 arrays.

    ``quality`` (1 … 100) holds for jpeg and webp, ``subsampling`` of the colours for jpeg; Pillow's
    defaults for JPEG, which the published script used, are 75 and 4:2:0. ``jpeg`` is the library
    that writes JPEG, ``simplejpeg`` or ``pillow``: the same tables and sizes, other roundings.
    """

    encoding: str = "jpeg"
    quality: int = 75
    subsampling: str = "4:2:0"
    jpeg: str = "pillow"

    def __post_init__(self) -> None:
        _choose("encoding", self.encoding, tuple(SUFFIXES))
        _choose("jpeg", self.jpeg, tuple(_JPEG))
        _choose("subsampling", self.subsampling, SUBSAMPLINGS)
        if type(self.quality) is not int or not 1 <= self.quality <= 100:
            raise UserError(
                f"output.quality={self.quality} is not a whole number from 1 to 100: "
                "type for example output.quality=75."
            )

    @property
    def suffix(self) -> str:
        """The ending of a file's name, with its dot."""
        return SUFFIXES[self.encoding]

    def settings(self) -> dict[str, Any]:
        """What of these settings decides bytes, for the recipe."""
        every = {"quality": self.quality, "subsampling": self.subsampling, "jpeg": self.jpeg}
        used = {"jpeg": ("quality", "subsampling", "jpeg"), "webp": ("quality",), "png": ()}
        return {
            "encoding": self.encoding,
            **{key: every[key] for key in used[self.encoding]},
        }

    def encode(self, pixels: np.ndarray) -> bytes:
        """The bytes of a file that shows ``pixels`` (``uint8`` H×W×3, RGB)."""
        if self.encoding == "jpeg":
            return _JPEG[self.jpeg](pixels, self.quality, self.subsampling)
        return _pillow(pixels, self.encoding, quality=self.quality)


def _pillow(pixels: np.ndarray, encoding: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format=encoding, **options)
    return buffer.getvalue()


def _jpeg_by_pillow(pixels: np.ndarray, quality: int, subsampling: str) -> bytes:
    return _pillow(pixels, "jpeg", quality=quality, subsampling=subsampling)


def _jpeg_by_simplejpeg(pixels: np.ndarray, quality: int, subsampling: str) -> bytes:
    import simplejpeg

    whole, factors = np.ascontiguousarray(pixels), subsampling.replace(":", "")
    return simplejpeg.encode_jpeg(whole, quality, "RGB", factors, fastdct=False)


_JPEG = {"simplejpeg": _jpeg_by_simplejpeg, "pillow": _jpeg_by_pillow}


def _choose(key: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UserError(
            f"output.{key}={value} is not one of {', '.join(allowed)}: "
            f"type for example output.{key}={allowed[0]}."
        )
