"""What a transform is, as plain values: its settings and the law of its draws. Imports no torch.

A law travels to workers, which draw and render from it; torchvision's object of the same name is
made only where somebody asks for it.
"""

from __future__ import annotations

import importlib
from abc import ABC
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from singleimg.errors import UserError
from singleimg.transforms.elementary import Number, exp, log

Size = tuple[int, int]  # height, width
Measure = Callable[[], np.ndarray]  # sizes of n images, int64 n×2, found when they are asked for
Parameters = dict[str, np.ndarray | None]  # of n images: n or n×k values each; None: no image's

CORNERS = ("fill", "reflect", "image")
INTERPOLATIONS = ("bilinear", "bicubic", "lanczos")
RATIO = (3 / 4, 4 / 3)
SUPPORT = {"bilinear": 1, "bicubic": 2, "lanczos": 3}  # half-width of the filter, in pixels


class Numbers(Protocol):
    """Where the random numbers of n images come from, an array of n at a time.

    ``singleimg.drawing.stream.Streams``, or torch for one image.
    """

    def __len__(self) -> int:
        """n."""

    def of(self, rows: np.ndarray) -> Numbers:
        """The same for some of the images, by their places (int64); the others draw nothing."""

    def uniform(self) -> np.ndarray:
        """The next number of each, in [0, 1)."""

    def below(self, n: int | np.ndarray) -> np.ndarray:
        """Whole numbers, 0 … n - 1, int64."""

    def permutation(self, n: int) -> np.ndarray:
        """Random orders of 0 … n - 1: int64, a row for each image."""


class Spread(NamedTuple):
    """How a number is meant to be spread: evenly over low … high, or (``log``) its logarithm."""

    low: float
    high: float
    log: bool = False


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

    def draw(self, numbers: Numbers, size: Measure) -> Parameters:
        """The parameters of images whose sizes are ``size()``, given that it happens to them."""
        return {}

    def output_sizes(self, sizes: np.ndarray, params: Parameters) -> np.ndarray:
        """Heights and widths of what comes out: int64 n×2, as ``sizes``."""
        return sizes

    def spreads(self) -> dict[str, Spread]:
        """How parameters are meant to be spread, by their names, those of ``derived`` among them.

        As they are drawn: of what does not fit and is drawn again this says nothing.
        """
        return {}

    def derived(self, params: Parameters, sizes: np.ndarray) -> Parameters:
        """Numbers that follow from the parameters of images of these sizes (int64 n×2)."""
        return {}

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
        raise UserError(
            f"{name}: degrees={degrees:g} is not from 0 to 180: type for example degrees=30."
        )
    if len(ratio) != 2 or not 0 < ratio[0] <= ratio[1]:
        raise UserError(
            f"{name}: ratio={list(ratio)} is not two numbers over 0, the smaller first: type for "
            "example 'ratio=[0.75,1.33]'."
        )
    if scale is not None and (len(scale) != 2 or not scale[0] >= scale[1] >= 1):
        raise UserError(
            f"{name}: scale={list(scale)} is not an inverse area range, two numbers of 1 or more, "
            "the larger first: type for example 'scale=[500,1]'."
        )


log_of = lru_cache(log)  # of a setting, which is the same for all images


def log_uniform(low: Number, high: Number, draw: Number) -> Number:
    """``draw``, 0 … 1, on a logarithmic scale between numbers of these logarithms."""
    return exp(low + (high - low) * draw)


def box_shape(params: Parameters, sizes: np.ndarray) -> Parameters:
    """Of boxes: ``area``, a share of what they are cut from, and ``aspect``, width by height."""
    width, height = params["width"], params["height"]
    return {"area": width * height / (sizes[:, 0] * sizes[:, 1]), "aspect": width / height}


def random_corner(
    numbers: Numbers, free_rows: np.ndarray, free_columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Top-left corners, each whole pixel of the free room as likely, both ends included."""
    rows, columns = numbers.uniform(), numbers.uniform()
    return (
        (rows * (free_rows + 1)).astype(np.int64),
        (columns * (free_columns + 1)).astype(np.int64),
    )


def rows_of(params: Parameters, count: int) -> list[dict[str, Any]]:
    """The parameters of ``count`` images, image by image: plain Python values."""
    columns = [[None] * count if one is None else one.tolist() for one in params.values()]
    rows = zip(*columns, strict=True) if columns else [()] * count
    return [dict(zip(params, row, strict=True)) for row in rows]


def mirrored(indices: range, length: int) -> np.ndarray:
    """``indices`` reflected into 0 … length - 1, the border pixel not repeated."""
    period = max(2 * (length - 1), 1)
    folded = np.abs(np.arange(indices.start, indices.stop)) % period
    return np.minimum(folded, period - folded) if length > 1 else folded * 0
