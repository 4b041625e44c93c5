"""``image=noise``: colour noise with a 1/f spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from singleimg.errors import UserError
from singleimg.sources.base import Source, check_name, check_pixels, check_sides


@dataclass(frozen=True)
class Noise(Source):
    """Colour noise of amplitude 1/f^exponent; see ``synthetic.noise``."""

    width: int = 2560
    height: int = 1920
    exponent: float = 1.0
    seed: int = 0
    name: str = "noise"
    pixels: int | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        check_sides(self.width, self.height)
        check_pixels(self.pixels)
        if type(self.seed) is not int or self.seed < 0:
            raise UserError(
                f"image.seed={self.seed} is not a whole number of 0 or more: type for example "
                "image.seed=0."
            )
        if type(self.exponent) not in (int, float) or not 0 <= self.exponent <= 4:
            raise UserError(
                f"image.exponent={self.exponent} is not from 0 (white noise) to 4: "
                "type for example image.exponent=1."
            )

    def __len__(self) -> int:
        return 1

    def load(self, k: int) -> np.ndarray:
        """The noise, made once in each process."""
        return _noise(self)

    def where(self, k: int) -> str:
        return "image=noise"


@lru_cache(maxsize=1)
def _noise(source: Noise) -> np.ndarray:
    from singleimg.sources.synthetic import noise

    return noise((source.width, source.height), source.exponent, source.seed)
