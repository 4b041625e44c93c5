"""``image=plain``: one colour, which teaches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from singleimg.sources.base import Source, check_name, check_pixels, check_sides, checked_colour


@dataclass(frozen=True)
class Plain(Source):
    """A picture of one colour: the control of whatever learns from pictures."""

    colour: Sequence[int] = (128, 128, 128)
    width: int = 2560
    height: int = 1920
    name: str = "plain"
    pixels: int | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        checked_colour(self.colour, "colour")
        check_sides(self.width, self.height)
        check_pixels(self.pixels)

    def __len__(self) -> int:
        return 1

    def load(self, k: int) -> np.ndarray:
        """The colour, everywhere."""
        return np.full((self.height, self.width, 3), self.colour, np.uint8)

    def where(self, k: int) -> str:
        return "image=plain"
