"""A transform that the raster has no rule for, rendered by who can."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from singleimg.drawing.steps import LawStep, Leaf
from singleimg.drawing.stream import Stream
from singleimg.engines.reference import as_pixels
from singleimg.errors import UserError

if TYPE_CHECKING:
    import torch

_TRIALS, _SIDE = 4, 96  # how often, and on how large a picture, the tensor path is tried
_APART = 8.0  # levels on average; roundings are far below it, a wrong axis is far above


class PythonLeaf:
    """``helper``: who renders ``leaf``; empty where the transform does so itself."""

    def __init__(self, leaf: Leaf) -> None:
        self.leaf = leaf
        own = getattr(leaf.settings(), "on_pixels", None)  # as Albumentations' have
        self.helper = ""
        if own is not None:
            # On a copy: nobody knows who of them writes into what he gets.
            self._apply: Callable[..., Any] = lambda pixels, params, stream: own(
                pixels.copy(), params
            )
            return
        on_tensors = _same_on_tensors(leaf)
        self.helper = "torchvision's tensor path" if on_tensors else "Pillow"
        convert = _tensor if on_tensors else Image.fromarray
        self._apply = lambda pixels, params, stream: as_pixels(
            leaf.render(convert(pixels), params, stream)
        )

    def render(self, pixels: np.ndarray, params: dict[str, Any], stream: Stream) -> np.ndarray:
        """``uint8`` H×W×3 in and out; ``stream`` serves what is drawn only now."""
        return self._apply(pixels, params, stream)


def _tensor(pixels: np.ndarray) -> torch.Tensor:
    """3×H×W, ``uint8``; a copy, since a user's transform may write into it."""
    import torch

    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def _same_on_tensors(leaf: Leaf) -> bool:
    """Whether a transform gives the same picture on tensors as on Pillow images.

    torchvision's v2 do. One that someone wrote for Pillow images may fail on tensors, or, worse,
    take the channels for rows: tried here on a small picture that shows it.
    """
    from torchvision.transforms import v2

    kind = type(leaf.settings())
    lambda_ = kind.__name__ == "Lambda"  # which holds a function of the user's
    if isinstance(leaf, LawStep) or (getattr(v2, leaf.name, None) is kind and not lambda_):
        return True
    rows, columns = np.mgrid[:_SIDE, : _SIDE + 16]
    channels = [40 + rows, 250 - 2 * columns, (rows // 8 + columns // 12) % 2 * 200]
    pixels = np.clip(np.stack(channels, -1), 0, 255).astype(np.uint8)
    for trial in range(_TRIALS):
        try:
            params = leaf.draw_one(Stream(0, trial), pixels.shape[:2])
            shown = as_pixels(leaf.render(Image.fromarray(pixels), params, Stream(1, trial)))
            other = as_pixels(leaf.render(_tensor(pixels), params, Stream(1, trial)))
        except UserError:
            return False
        if shown.shape != other.shape or np.abs(shown - other.astype(int)).mean() > _APART:
            return False
    return True
