"""``encode=jpeg``: by libjpeg-turbo, or by Pillow."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from singleimg.encoders.base import Encoder, by_pillow, check_quality
from singleimg.errors import UserError

SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
LIBRARIES = ("simplejpeg", "pillow")


@dataclass(frozen=True)
class JpegEncoder(Encoder):
    """quality: 1 … 100. subsampling: of the colours. Pillow's defaults, which the published script
    used, are 75 and 4:2:0. library: who writes, ``simplejpeg`` or ``pillow``: the same tables and
    sizes, other roundings.
    """

    encoding = "jpeg"

    quality: int = 75
    subsampling: str = "4:2:0"
    library: str = "pillow"

    def __post_init__(self) -> None:
        _check_choice("library", self.library, LIBRARIES)
        _check_choice("subsampling", self.subsampling, SUBSAMPLINGS)
        check_quality(self.quality)
        if self.library == "simplejpeg":
            try:
                importlib.import_module("simplejpeg")
            except ImportError as error:
                raise UserError(
                    "encode.library=simplejpeg needs the module simplejpeg, which cannot be "
                    f"imported here ({error}): type pip install simplejpeg, or "
                    "encode.library=pillow."
                ) from None

    @property
    def libraries(self) -> tuple[str, ...]:
        return ("Pillow" if self.library == "pillow" else self.library,)

    def settings(self) -> dict[str, Any]:
        return {"quality": self.quality, "subsampling": self.subsampling, "jpeg": self.library}

    def encode(self, pixels: np.ndarray) -> bytes:
        if self.library == "pillow":
            return by_pillow(pixels, "jpeg", quality=self.quality, subsampling=self.subsampling)
        import simplejpeg

        whole, factors = np.ascontiguousarray(pixels), self.subsampling.replace(":", "")
        return simplejpeg.encode_jpeg(whole, self.quality, "RGB", factors, fastdct=False)


def _check_choice(key: str, value: Any, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise UserError(
            f"encode.{key}={value} is not one of {', '.join(allowed)}: "
            f"type for example encode.{key}={allowed[0]}."
        )
