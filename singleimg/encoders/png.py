"""``encode=png``: without loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from singleimg.encoders.base import Encoder, by_pillow


@dataclass(frozen=True)
class PngEncoder(Encoder):
    """Pillow's PNG, as it comes."""

    encoding = "png"
    libraries = ("Pillow",)

    def settings(self) -> dict[str, Any]:
        return {}

    def encode(self, pixels: np.ndarray) -> bytes:
        return by_pillow(pixels, "png")
