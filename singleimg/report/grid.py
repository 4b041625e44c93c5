"""Pictures of a dataset for the eye."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image

DEBUG_IMAGES, DEBUG_COLUMNS = 64, 8


def grid(images: Iterable[np.ndarray], columns: int = DEBUG_COLUMNS) -> Image.Image:
    """``uint8`` H×W×3 images of one size, row by row, two white pixels apart."""
    framed = [np.pad(image, ((1, 1), (1, 1), (0, 0)), constant_values=255) for image in images]
    framed += [np.full_like(framed[0], 255)] * (-len(framed) % columns)
    rows = [np.hstack(framed[at : at + columns]) for at in range(0, len(framed), columns)]
    return Image.fromarray(np.vstack(rows))
