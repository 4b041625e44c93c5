"""``encode=webp``: with losses, smaller than JPEG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from singleimg.encoders.base import Encoder, by_pillow, check_quality


@dataclass(frozen=True)
class WebpEncoder(Encoder):
    """quality: 1 … 100."""

    encoding = "webp"
    libraries = ("Pillow",)

    quality: int = 75

    def __post_init__(self) -> None:
        check_quality(self.quality)

    def settings(self) -> dict[str, Any]:
        return {"quality": self.quality}

    def encode(self, pixels: np.ndarray) -> bytes:
        return by_pillow(pixels, "webp", quality=self.quality)
