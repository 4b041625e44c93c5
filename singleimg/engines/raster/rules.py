"""What the raster does for each transform that it has a rule for, for many images at once.

A rule gets the transform's settings, what n images drew (columns by torchvision's names) and their
sizes before it, and gives their steps: ``STEP``, n×m. docs/raster.md says what the steps do.
Float64 is used in + − × ÷ √ and by functions of our own, so that the numbers are the same on every
processor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from singleimg.engines.raster.call import STEP, Do
from singleimg.engines.raster.colour import OPERATIONS, operations
from singleimg.transforms.base import CORNERS, INTERPOLATIONS, Measure
from singleimg.transforms.elementary import exp, radians, sin_cos, tan
from singleimg.transforms.geometry import CropResizeAffineLaw, RotatedCropLaw
from singleimg.transforms.torchvision import CenterCropLaw, GaussianBlurLaw, ResizeLaw

Columns = Mapping[str, Any]
_FILTERS = {2: "bilinear", 3: "bicubic", 1: "lanczos"}  # by the numbers that Pillow gives them


@dataclass
class Part:
    """Steps of n images (``STEP``, n×m), and the weights of blurs (int16, n×t) among them."""

    steps: np.ndarray
    taps: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.int16))


Rule = Callable[[Any, Columns, Measure, int], Part]
Serves = Callable[[Any], bool]
RULES: dict[str, tuple[Rule, Serves]] = {}  # and whether a rule serves the settings that it gets


def rule_for(*names: str, serves: Serves = lambda settings: True) -> Callable[[Rule], Rule]:
    """Registers the rule of transforms of these names."""

    def register(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, (rule, serves)))
        return rule

    return register


def steps_of(do: Do, count: int) -> np.ndarray:
    """``count`` images with one step that does ``do`` and has zeros elsewhere."""
    steps = np.zeros((count, 1), STEP)
    steps["operation"] = do
    return steps


def _numbers(steps: np.ndarray, name: str, *columns: Any) -> None:
    for place, column in enumerate(columns):
        steps[name][:, 0, place] = column


def filter_of(interpolation: Any) -> int | None:
    """The number of a torchvision interpolation (mode, name or number); None for one we lack."""
    name = getattr(interpolation, "value", interpolation)
    name = _FILTERS.get(name, name)
    return INTERPOLATIONS.index(name) if name in INTERPOLATIONS else None


@rule_for("CropResizeAffine")
def crop_resize_affine(
    law: CropResizeAffineLaw, columns: Columns, sizes: Measure, count: int
) -> Part:
    """The matrix about the canvas's centre: torchvision's ``_get_inverse_affine_matrix``."""
    steps, side, canvas = steps_of(Do.CANVAS, count), law.size, law.canvas
    # torchvision's rotate turns counter-clockwise and its affine clockwise.
    angle = radians(columns["angle"] if law.shear else -columns["angle"])
    (s, c), slope = sin_cos(angle), tan(radians(columns["shear"]))
    shift = round((canvas - side) / 2) + 0.5 - canvas / 2
    xx, xy = c - s * slope, c * slope + s
    x = (xx + xy) * shift + canvas / 2 - 0.5
    y = (c - s) * shift + canvas / 2 - 0.5
    filters = np.array([INTERPOLATIONS.index(name) for name in columns["interpolation"]], np.int32)
    _numbers(steps, "whole", side, canvas, filters, CORNERS.index(law.corners))
    box = (columns[key] for key in ("left", "top", "width", "height"))
    _numbers(steps, "real", *box, xx, xy, x, -s, c, y)
    return Part(steps)


@rule_for("RotatedCrop")
def rotated_crop(law: RotatedCropLaw, columns: Columns, sizes: Measure, count: int) -> Part:
    """The patch and its angle."""
    steps, (s, c) = steps_of(Do.ROTATED, count), sin_cos(radians(columns["angle"]))
    _numbers(steps, "whole", law.size)
    patch = (columns[key] for key in ("width", "height", "u", "v"))
    _numbers(steps, "real", *patch, c, s)
    return Part(steps)


def _has_filter(settings: Any) -> bool:
    return filter_of(settings.interpolation) is not None


def _adds_nothing(settings: Any) -> bool:
    padding, pads = (getattr(settings, key, None) for key in ("padding", "pad_if_needed"))
    return padding is None and not pads


@rule_for("Resize", serves=_has_filter)
def resize(law: ResizeLaw, columns: Columns, sizes: Measure, count: int) -> Part:
    """The whole of what there is."""
    steps, before = steps_of(Do.RESIZE, count), sizes()
    height, width = law.output_sizes(before, columns).T
    _numbers(steps, "whole", height, width, filter_of(law.interpolation))
    _numbers(steps, "real", 0.0, 0.0, before[:, 1], before[:, 0])
    return Part(steps)


@rule_for("RandomResizedCrop", serves=_has_filter)
def random_resized_crop(settings: Any, columns: Columns, sizes: Measure, count: int) -> Part:
    """A box of what there is."""
    steps = steps_of(Do.RESIZE, count)
    _numbers(steps, "whole", *settings.size, filter_of(settings.interpolation))
    _numbers(steps, "real", *(columns[key] for key in ("left", "top", "width", "height")))
    return Part(steps)


@rule_for("RandomSquareCrop", "RandomCrop", serves=_adds_nothing)
def crop(law: Any, columns: Columns, sizes: Measure, count: int) -> Part:
    """A part."""
    steps = steps_of(Do.CROP, count)
    _numbers(steps, "whole", *(columns[key] for key in ("top", "left", "height", "width")))
    return Part(steps)


@rule_for("CenterCrop")
def center_crop(law: CenterCropLaw, columns: Columns, sizes: Measure, count: int) -> Part:
    """The middle, black where the picture is smaller: torchvision's padding and rounding."""
    steps, wanted = steps_of(Do.CROP, count), np.array(law.size)
    missing = np.maximum(wanted - sizes(), 0)
    free = np.maximum(sizes() - wanted, 0)
    top, left = (np.rint(free / 2).astype(np.int64) - missing // 2).T  # halves to even
    _numbers(steps, "whole", top, left, *law.size)
    return Part(steps)


@rule_for("RandomHorizontalFlip")
def horizontal_flip(law: Any, columns: Columns, sizes: Measure, count: int) -> Part:
    """Left to right."""
    return Part(steps_of(Do.FLIP_X, count))


@rule_for("RandomVerticalFlip")
def vertical_flip(law: Any, columns: Columns, sizes: Measure, count: int) -> Part:
    """Top to bottom."""
    return Part(steps_of(Do.FLIP_Y, count))


@rule_for("Identity")
def identity(law: Any, columns: Columns, sizes: Measure, count: int) -> Part:
    """Nothing."""
    return Part(np.zeros((count, 0), STEP))


@rule_for("GaussianBlur")
def gaussian_blur(law: GaussianBlurLaw, columns: Columns, sizes: Measure, count: int) -> Part:
    """Weights whose running sums are rounded to 1/16384, so that they sum to 1."""
    steps, sigmas, taps, first = steps_of(Do.BLUR, count), columns["sigma"], [], []
    for axis, length in enumerate(law.kernel_size):
        x = (np.arange(length) - (length - 1) / 2) / sigmas[:, axis, None]
        sums = np.cumsum(exp(-0.5 * x * x), axis=1)
        rounded = np.floor(sums * (16384.0 / sums[:, -1:]) + 0.5)
        first.append(sum(one.shape[1] for one in taps))
        taps.append(np.diff(rounded, axis=1, prepend=0.0).astype(np.int16))
    across, down = law.kernel_size
    _numbers(steps, "whole", first[0], across, first[1], down)
    return Part(steps, np.concatenate(taps, axis=1))


@rule_for(*OPERATIONS)
def colours(law: Any, columns: Columns, sizes: Measure, count: int) -> Part:
    """Operations one after the other; docs/raster.md, "Colour"."""
    pairs = operations(law, columns, count)
    steps = np.zeros(pairs.shape[:2], STEP)
    steps["operation"] = np.where(pairs[..., 0], Do.COLOUR, Do.NOTHING)
    steps["whole"][..., :2] = pairs
    return Part(steps)
