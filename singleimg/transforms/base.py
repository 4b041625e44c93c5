"""What our transforms share: where their numbers come from, ranges, reflection."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2._utils import query_size

from singleimg.errors import UserError

INTERPOLATIONS = ("bilinear", "bicubic", "lanczos")
RATIO = (3 / 4, 4 / 3)
SUPPORT = {"bilinear": 1, "bicubic": 2, "lanczos": 3}  # half-width of the filter, in pixels


class Uniforms(Protocol):
    """Where random numbers come from, such as a ``singleimg.drawing.stream.Stream``."""

    def uniform(self) -> float:
        """The next number, in [0, 1)."""


class _TorchUniforms:
    """Torch's own generator."""

    def uniform(self) -> float:
        return torch.rand(1, dtype=torch.float64).item()


class Drawn(v2.Transform):
    """A transform that draws without torch, which is faster.

    A subclass has ``draw(numbers: Uniforms, size: tuple[int, int]) -> dict``: the parameters for
    an image of ``size`` (height, width), from ``numbers`` alone.
    """

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """What ``draw`` returns, from torch's generator, for the size of the inputs."""
        return self.draw(_TorchUniforms(), tuple(query_size(flat_inputs)))


# --- shared --------------------------------------------------------------------------------------


def check_ranges(
    transform: v2.Transform,
    degrees: float,
    ratio: Sequence[float],
    scale: Sequence[float] | None,
) -> None:
    name = type(transform).__name__
    if not 0 <= degrees <= 180:
        raise UserError(f"{name}: degrees={degrees:g} is not from 0 to 180.")
    if len(ratio) != 2 or not 0 < ratio[0] <= ratio[1]:
        raise UserError(f"{name}: ratio={list(ratio)} is not two numbers over 0 in order.")
    if scale is not None and (len(scale) != 2 or not scale[0] >= scale[1] >= 1):
        raise UserError(
            f"{name}: scale={list(scale)} is not an inverse area range, such as [500, 1]."
        )


def log_uniform(low: float, high: float, draw: float) -> float:
    return math.exp(math.log(low) + (math.log(high) - math.log(low)) * draw)


def random_corner(numbers: Uniforms, free_rows: int, free_columns: int) -> tuple[int, int]:
    """A top-left corner, each whole pixel of the free room as likely, both ends included."""
    row, column = numbers.uniform(), numbers.uniform()
    return int(row * (free_rows + 1)), int(column * (free_columns + 1))


def mirrored(indices: range, length: int) -> np.ndarray:
    """``indices`` reflected into 0 … length - 1, the border pixel not repeated."""
    period = max(2 * (length - 1), 1)
    folded = np.abs(np.arange(indices.start, indices.stop)) % period
    return np.minimum(folded, period - folded) if length > 1 else folded * 0


def neighbourhood(image: Image.Image, rows: range, columns: range) -> Image.Image:
    """A part of ``image`` that may reach beyond it, where it is reflected."""
    inside = rows.start >= 0 and columns.start >= 0
    if inside and rows.stop <= image.height and columns.stop <= image.width:
        return image.crop((columns.start, rows.start, columns.stop, rows.stop))
    pixels = np.asarray(image)
    rows_, columns_ = mirrored(rows, image.height), mirrored(columns, image.width)
    return Image.fromarray(pixels[rows_[:, None], columns_[None, :]])


def reflected(image: Image.Image, across: int, down: int) -> Image.Image:
    """``image`` with margins of its own reflection."""
    return neighbourhood(
        image, range(-down, image.height + down), range(-across, image.width + across)
    )
