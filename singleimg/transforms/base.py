"""What a transform is, as plain values: its settings and the law of its draws. Imports no torch.

A law travels to workers, which draw and render from it; torchvision's object of the same name is
made only where somebody asks for it.
"""

from __future__ import annotations

import importlib
import math
from abc import ABC
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol

import numpy as np

from singleimg.errors import UserError

Size = tuple[int, int]  # height, width
Measure = Callable[[], Size]  # a size, found when it is asked for

CORNERS = ("fill", "reflect", "image")
INTERPOLATIONS = ("bilinear", "bicubic", "lanczos")
RATIO = (3 / 4, 4 / 3)
SUPPORT = {"bilinear": 1, "bicubic": 2, "lanczos": 3}  # half-width of the filter, in pixels


class Numbers(Protocol):
    """Where random numbers come from: a ``singleimg.drawing.stream.Stream``, or torch."""

    def uniform(self) -> float:
        """The next number, in [0, 1)."""

    def below(self, n: int) -> int:
        """A whole number, 0 … n - 1."""

    def permutation(self, n: int) -> list[int]:
        """A random order of 0 … n - 1."""


@dataclass(frozen=True)
class Law(ABC):
    """The settings of one transform, which are its fields, and how its parameters are drawn.

    name: of the transform, in records of draws. home: the module of the transform's own class,
    whose arguments are the fields of the law. gated: whether it happens with probability ``p`` (a
    field), which is drawn first.
    """

    name: ClassVar[str]
    home: ClassVar[str] = "torchvision.transforms.v2"
    gated: ClassVar[bool] = False

    def draw(self, numbers: Numbers, size: Measure) -> dict[str, Any]:
        """The parameters for an image of ``size()`` (height, width), given that it happens."""
        return {}

    def output_size(self, size: Size, params: dict[str, Any]) -> Size:
        """Height and width of what comes out."""
        return size

    def absorb(self, previous: Law) -> Law | None:
        """This law with the one before it taken in, or None: they stay two."""
        return None

    def make(self) -> Any:
        """The transform itself, a ``torchvision.transforms.v2.Transform``; imports torchvision."""
        kind = getattr(importlib.import_module(self.home), self.name)
        return kind(**{field.name: getattr(self, field.name) for field in fields(self)})


def check_ranges(
    name: str, degrees: float, ratio: Sequence[float], scale: Sequence[float] | None
) -> None:
    """Raises UserError for settings of the transform ``name`` that are out of their ranges."""
    if not 0 <= degrees <= 180:
        raise UserError(f"{name}: degrees={degrees:g} is not from 0 to 180.")
    if len(ratio) != 2 or not 0 < ratio[0] <= ratio[1]:
        raise UserError(f"{name}: ratio={list(ratio)} is not two numbers over 0 in order.")
    if scale is not None and (len(scale) != 2 or not scale[0] >= scale[1] >= 1):
        raise UserError(
            f"{name}: scale={list(scale)} is not an inverse area range, such as [500, 1]."
        )


def log_uniform(low: float, high: float, draw: float) -> float:
    """``draw``, 0 … 1, on a logarithmic scale from ``low`` to ``high``."""
    return math.exp(math.log(low) + (math.log(high) - math.log(low)) * draw)


def random_corner(numbers: Numbers, free_rows: int, free_columns: int) -> tuple[int, int]:
    """A top-left corner, each whole pixel of the free room as likely, both ends included."""
    row, column = numbers.uniform(), numbers.uniform()
    return int(row * (free_rows + 1)), int(column * (free_columns + 1))


def mirrored(indices: range, length: int) -> np.ndarray:
    """``indices`` reflected into 0 … length - 1, the border pixel not repeated."""
    period = max(2 * (length - 1), 1)
    folded = np.abs(np.arange(indices.start, indices.stop)) % period
    return np.minimum(folded, period - folded) if length > 1 else folded * 0
