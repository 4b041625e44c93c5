"""Which parts of a picture were used how often."""

from __future__ import annotations

import numpy as np

_SIDE = 512  # pixels of a map, at most
_AT_ONCE = 4_000_000  # spans of rows


def heat_map(corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """How many of n quadrilaterals cover each place of a picture: int64 h×w, at most 512 a side.

    corners: float64 n×4×2 in pixels of the picture, convex, x to the right and y down; what is NaN
    or beyond the picture does not count. size: of the picture, height and width.
    """
    height, width = size
    scale = min(1.0, _SIDE / max(size))
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    counted = np.zeros((rows, columns + 1), np.int64)
    known = corners[np.isfinite(corners).all((1, 2))] * [columns / width, rows / height]
    for start in range(0, len(known), _AT_ONCE // rows or 1):
        left, right = _spans(known[start : start + (_AT_ONCE // rows or 1)], rows)
        covered = left < right
        row = np.broadcast_to(np.arange(rows), left.shape)[covered]
        for edge, sign in ((left, 1), (right, -1)):
            column = np.rint(edge[covered]).clip(0, columns).astype(np.int64)
            places = np.bincount(row * (columns + 1) + column, minlength=counted.size)
            counted += sign * places.reshape(counted.shape)
    return counted.cumsum(axis=1)[:, :-1]


def _spans(corners: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the middle of each row enters and leaves a convex quadrilateral: n×rows, n×rows.

    Left is not less than right where it does not meet it.
    """
    middle = np.arange(rows) + 0.5
    left, right = np.full((2, len(corners), rows), np.inf)
    right = -right
    for begin in range(4):
        (x0, y0), (x1, y1) = corners[:, begin].T, corners[:, (begin + 1) % 4].T
        with np.errstate(divide="ignore", invalid="ignore"):
            along = (middle - y0[:, None]) / (y1 - y0)[:, None]
        x = x0[:, None] + along * (x1 - x0)[:, None]
        meets = (along >= 0) & (along <= 1)
        left = np.where(meets, np.minimum(left, x), left)
        right = np.where(meets, np.maximum(right, x), right)
    return left, right
