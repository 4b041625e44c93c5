"""Where in its picture each image lies: corners, from what was drawn, without a pixel."""

from __future__ import annotations

import numpy as np

from singleimg.drawing.draws import Draws
from singleimg.drawing.pipeline import Pipeline
from singleimg.engines.raster.call import Do
from singleimg.engines.raster.program import Programmer

_IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def footprints(pipeline: Pipeline, draws: Draws) -> np.ndarray:
    """The corners of n images in their pictures: float64 n×4×2, x to the right and y down, pixels.

    In the order top left, top right, bottom right, bottom left of the image. They may lie beyond
    the picture. NaN where a transform that the raster has no rule for may have moved pixels.
    """
    steps = Programmer(pipeline.steps).program(draws).steps
    sizes = draws.size().astype(float)  # heights and widths before each step
    maps = []
    for column in steps.T:
        places, sizes = _map(column, sizes)
        maps.append(places)
    height, width = sizes.T
    none = np.zeros(len(draws))
    corners = np.array([[none, width, width, none], [none, none, height, height]])
    points = corners.transpose(2, 1, 0)
    for places in reversed(maps):
        points = points @ places[:, :, :2].transpose(0, 2, 1) + places[:, None, :, 2]
    return points


def _map(steps: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How one step leads from places in its result to places before it, n×2×3, and sizes after.

    See docs/raster.md for the numbers of each.
    """
    places, after = np.tile(_IDENTITY, (len(steps), 1, 1)), sizes.copy()
    whole, real = steps["whole"].astype(float), steps["real"]
    for do in np.unique(steps["operation"]):
        rows = np.flatnonzero(steps["operation"] == do)
        w, r, (height, width) = whole[rows].T, real[rows].T, sizes[rows].T
        made = places[rows]
        if do == Do.CANVAS:
            left, top, box_width, box_height, xx, xy, x, yx, yy, y = r
            across, down = box_width / w[1], box_height / w[1]
            # x and y are where the centre of the first pixel lies, counted from such a centre.
            made[:, 0] = np.stack(
                [xx * across, xy * across, left + across * (x + 0.5 - (xx + xy) / 2)], 1
            )
            made[:, 1] = np.stack([yx * down, yy * down, top + down * (y + 0.5 - (yx + yy) / 2)], 1)
            after[rows] = w[0, :, None]
        elif do == Do.ROTATED:
            patch_width, patch_height, u, v, c, s = r[:6]
            across, down = patch_width / w[0], patch_height / w[0]
            made[:, 0] = np.stack(
                [c * across, -s * down, width / 2 + u - (c * patch_width - s * patch_height) / 2], 1
            )
            made[:, 1] = np.stack(
                [s * across, c * down, height / 2 + v - (s * patch_width + c * patch_height) / 2], 1
            )
            after[rows] = w[0, :, None]
        elif do == Do.RESIZE:
            made[:, 0, 0], made[:, 0, 2] = r[2] / w[1], r[0]
            made[:, 1, 1], made[:, 1, 2] = r[3] / w[0], r[1]
            after[rows] = w[:2].T
        elif do == Do.CROP:
            made[:, 0, 2], made[:, 1, 2] = w[1], w[0]
            after[rows] = w[2:4].T
        elif do == Do.FLIP_X:
            made[:, 0, 0], made[:, 0, 2] = -1, width
        elif do == Do.FLIP_Y:
            made[:, 1, 1], made[:, 1, 2] = -1, height
        elif do == Do.PYTHON:
            made[:] = np.nan
        places[rows] = made
    return places, after


def areas(corners: np.ndarray) -> np.ndarray:
    """The areas of quadrilaterals n×4×2: n, in square pixels."""
    x, y = corners[..., 0], corners[..., 1]
    return np.abs((x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1)).sum(1)) / 2
