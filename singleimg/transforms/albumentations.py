"""Albumentations' transforms as one of ours. Imports torch; Albumentations itself when it is named.

>>> - _target_: singleimg.transforms.Albumentations
>>>   transform:
>>>     _target_: albumentations.RandomBrightnessContrast
>>>     brightness_limit: 0.3
"""

from __future__ import annotations

import os
import random
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2

from singleimg.errors import UserError

if TYPE_CHECKING:
    from albumentations import BaseCompose, BasicTransform

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else its import asks the network
_SEEDS = 2**53
_alone = Lock()  # a transform of theirs holds its generators, which threads would share


class Albumentations(v2.Transform):
    """One transform of Albumentations, or a composition of some; images alone are transformed.

    What is drawn is a seed; from it their generators are seeded anew for each image, so that an
    image depends on nothing but its index. Their draws depend on pixels, so that the seed is all
    that is recorded.

    transform: an ``albumentations.BasicTransform`` or ``BaseCompose`` (version 2), which is below
    the key of that name in a configuration. Raises UserError for another thing.
    """

    def __init__(self, transform: BasicTransform | BaseCompose) -> None:
        super().__init__()
        import albumentations

        if not isinstance(transform, albumentations.BasicTransform | albumentations.BaseCompose):
            raise UserError(
                f"singleimg.transforms.Albumentations: transform={transform!r} is not a transform "
                "of Albumentations: type for example transform: {_target_: albumentations.CLAHE}."
            )
        if not isinstance(transform, albumentations.BaseCompose):
            transform = albumentations.Compose([transform])
        self.composed = transform

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """``seed``, from torch's generator."""
        return {"seed": int(torch.randint(_SEEDS, ()))}

    def transform(self, inpt: Image.Image, params: dict[str, Any]) -> Image.Image:
        """A Pillow image in, a Pillow image out."""
        if not isinstance(inpt, Image.Image):
            raise TypeError("singleimg.transforms.Albumentations takes Pillow images")
        return Image.fromarray(self.on_pixels(np.asarray(inpt.convert("RGB")), params))

    def on_pixels(self, pixels: np.ndarray, params: dict[str, Any]) -> np.ndarray:
        """``uint8`` H×W×3 in and out."""
        with _alone:
            # Not set_random_seed, by which all of them draw the same numbers.
            seed = params["seed"]
            self.composed.set_random_state(np.random.default_rng(seed), random.Random(seed))
            shown = self.composed(image=pixels)["image"]
        if not (isinstance(shown, np.ndarray) and shown.dtype == np.uint8 and shown.ndim == 3):
            kind = getattr(shown, "dtype", type(shown).__name__)
            raise UserError(
                f"singleimg.transforms.Albumentations: {self.extra_repr()} gives {kind}, not uint8 "
                "H×W×3: leave out what makes tensors or floats."
            )
        return np.ascontiguousarray(shown)

    def extra_repr(self) -> str:
        """Their transforms by name."""
        return ", ".join(type(one).__name__ for one in self.composed.transforms)
