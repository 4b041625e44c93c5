"""The laws of torchvision's transforms that we draw ourselves, number for number as it does.

A law holds what its transform is made with, under torchvision's names. It takes plain numbers and
lists only: whatever else torchvision takes (and whatever it refuses) is left to torchvision.
Source: torchvision.transforms.v2, https://docs.pytorch.org/vision/stable/transforms.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from singleimg.transforms.base import Law, Measure, Numbers, Parameters, Size, Spread


class NotPlain(ValueError):
    """Settings that are left to torchvision."""


def _need(right: bool) -> None:
    if not right:
        raise NotPlain


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _pair(value: Any) -> tuple[int, int]:
    """A size as (height, width): one whole number over 0, or a list of one or two."""
    values = [value] if type(value) is int else value
    _need(isinstance(values, list | tuple) and len(values) in (1, 2))
    _need(all(type(one) is int and one > 0 for one in values))
    return values[0], values[-1]


@dataclass(frozen=True)
class GatedLaw(Law):
    """One that happens with probability ``p``, 0 … 1, and draws nothing else."""

    gated = True

    p: float = 0.5

    def __post_init__(self) -> None:
        _need(_is_number(self.p) and 0 <= self.p <= 1)


@dataclass(frozen=True)
class RandomHorizontalFlipLaw(GatedLaw):
    name = "RandomHorizontalFlip"


@dataclass(frozen=True)
class RandomVerticalFlipLaw(GatedLaw):
    name = "RandomVerticalFlip"


@dataclass(frozen=True)
class RandomInvertLaw(GatedLaw):
    name = "RandomInvert"


@dataclass(frozen=True)
class RandomGrayscaleLaw(GatedLaw):
    name = "RandomGrayscale"

    p: float = 0.1

    def draw(self, numbers: Numbers, size: Measure) -> Parameters:
        return {"num_input_channels": np.full(len(numbers), 3)}


@dataclass(frozen=True, kw_only=True)
class RandomSolarizeLaw(GatedLaw):
    """threshold: levels at or over it are inverted."""

    name = "RandomSolarize"

    threshold: float

    def __post_init__(self) -> None:
        super().__post_init__()
        _need(_is_number(self.threshold))


@dataclass(frozen=True, kw_only=True)
class RandomPosterizeLaw(GatedLaw):
    """bits: how many of each level are kept, 0 … 8."""

    name = "RandomPosterize"

    bits: int

    def __post_init__(self) -> None:
        super().__post_init__()
        _need(type(self.bits) is int and 0 <= self.bits <= 8)


@dataclass(frozen=True)
class IdentityLaw(Law):
    name = "Identity"


@dataclass(frozen=True)
class GrayscaleLaw(Law):
    name = "Grayscale"

    num_output_channels: int = 1

    def __post_init__(self) -> None:
        _need(self.num_output_channels in (1, 3))


@dataclass(frozen=True)
class ResizeLaw(Law):
    """size: [height, width], or of the shorter side, of which ``max_size`` limits the longer."""

    name = "Resize"

    size: Any
    interpolation: Any = "bilinear"
    max_size: int | None = None
    antialias: bool | None = True

    def __post_init__(self) -> None:
        _pair(self.size)
        sizes = [self.size] if type(self.size) is int else list(self.size)
        shorter = sizes[0] if len(sizes) == 1 else None
        object.__setattr__(self, "size", sizes)
        _need(type(self.interpolation) in (int, str) or hasattr(self.interpolation, "value"))
        if self.max_size is not None:
            _need(shorter is not None and type(self.max_size) is int and self.max_size > shorter)

    def output_sizes(self, sizes: np.ndarray, params: Parameters) -> np.ndarray:
        found = [tuple(size) for size in sizes.tolist()]
        known = {size: resized(size, self.size, self.max_size) for size in set(found)}
        return np.array([known[size] for size in found]).reshape(-1, 2)


def resized(size: Size, wanted: Sequence[int], max_size: int | None) -> Size:
    """(height, width) after ``Resize``: torchvision's own ``_compute_resized_output_size``."""
    if len(wanted) == 2:
        return wanted[0], wanted[1]
    height, width = size
    new_short, new_long = wanted[0], int(wanted[0] * max(size) / min(size))
    if max_size is not None and new_long > max_size:
        new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_short, new_long) if height <= width else (new_long, new_short)


@dataclass(frozen=True)
class CenterCropLaw(Law):
    name = "CenterCrop"

    size: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", _pair(self.size))

    def output_sizes(self, sizes: np.ndarray, params: Parameters) -> np.ndarray:
        return np.tile(np.array(self.size), (len(sizes), 1))


@dataclass(frozen=True)
class RandomCropLaw(Law):
    """Without padding, which is left to torchvision."""

    name = "RandomCrop"

    size: Any
    padding: None = None
    pad_if_needed: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", _pair(self.size))
        _need(self.padding is None and self.pad_if_needed is False)

    def draw(self, numbers: Numbers, size: Measure) -> Parameters:
        sizes, count = size(), len(numbers)
        free = (sizes - self.size).T
        if (free < 0).any():
            whole = tuple(sizes[np.argmax((free < 0).any(axis=0))].tolist())
            raise ValueError(
                f"Required crop size {self.size} is larger than input image size {whole}."
            )
        top, left = np.zeros((2, count), np.int64)
        for corner, room in ((top, free[0]), (left, free[1])):
            rows = np.flatnonzero(room)  # where there is no room nothing is drawn
            corner[rows] = numbers.of(rows).below(room[rows] + 1)
        return {
            "needs_crop": free.any(axis=0),
            "top": top,
            "left": left,
            "height": np.full(count, self.size[0]),
            "width": np.full(count, self.size[1]),
            "needs_pad": np.zeros(count, bool),
            "padding": np.zeros((count, 4), np.int64),
        }

    def output_sizes(self, sizes: np.ndarray, params: Parameters) -> np.ndarray:
        return np.tile(np.array(self.size), (len(sizes), 1))


@dataclass(frozen=True)
class ColorJitterLaw(Law):
    """Each a strength, or the range of its factor; None: not changed."""

    name = "ColorJitter"

    brightness: float | Sequence[float] | None = None
    contrast: float | Sequence[float] | None = None
    saturation: float | Sequence[float] | None = None
    hue: float | Sequence[float] | None = None

    def __post_init__(self) -> None:
        for key in ("brightness", "contrast", "saturation", "hue"):
            object.__setattr__(self, key, _jitter_range(getattr(self, key), key == "hue"))

    def draw(self, numbers: Numbers, size: Measure) -> Parameters:
        params: Parameters = {"fn_idx": numbers.permutation(4)}
        for key in ("brightness", "contrast", "saturation", "hue"):
            bounds = getattr(self, key)
            params[f"{key}_factor"] = None if bounds is None else _between(numbers, *bounds)
        return params

    def spreads(self) -> dict[str, Spread]:
        keys = ("brightness", "contrast", "saturation", "hue")
        return {f"{key}_factor": Spread(*getattr(self, key)) for key in keys if getattr(self, key)}


def _jitter_range(value: Any, is_hue: bool) -> tuple[float, float] | None:
    """The range that torchvision makes of a setting; None where it changes nothing."""
    if value is None:
        return None
    centre, lowest, highest = (0.0, -0.5, 0.5) if is_hue else (1.0, 0.0, float("inf"))
    if _is_number(value):
        _need(value >= 0)
        low, high = centre - value, centre + value
        low = low if is_hue else max(low, 0.0)
    else:
        _need(isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value)))
        low, high = value
    _need(lowest <= low <= high <= highest)
    return None if low == high == centre else (float(low), float(high))


@dataclass(frozen=True)
class GaussianBlurLaw(Law):
    """kernel_size: odd numbers of pixels, (along x, along y). sigma: its range, pixels."""

    name = "GaussianBlur"

    kernel_size: int | Sequence[int]
    sigma: float | Sequence[float] = (0.1, 2.0)

    def __post_init__(self) -> None:
        kernel, sigma = _pair(self.kernel_size), self.sigma
        _need(all(side % 2 for side in kernel))
        sigma = [sigma] if _is_number(sigma) else sigma
        _need(isinstance(sigma, list | tuple) and len(sigma) in (1, 2))
        _need(all(map(_is_number, sigma)) and 0 < sigma[0] <= sigma[-1])
        object.__setattr__(self, "kernel_size", kernel)
        object.__setattr__(self, "sigma", (float(sigma[0]), float(sigma[-1])))

    def draw(self, numbers: Numbers, size: Measure) -> Parameters:
        return {"sigma": _between(numbers, *self.sigma)[:, None].repeat(2, axis=1)}

    def spreads(self) -> dict[str, Spread]:
        return {"sigma": Spread(*self.sigma)}


def _between(numbers: Numbers, low: float, high: float) -> np.ndarray:
    return numbers.uniform() * (high - low) + low
