"""RotNet: by how many quarter turns was this image rotated?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from singleimg.errors import UserError
from singleimg.learn.methods.classifier import LabelClassifier
from singleimg.learn.methods.train_state import TrainState
from singleimg.learn.networks.base import Network

QUARTERS = 4
_TRIVIAL = 135.0  # degrees, by which torchvision's TrivialAugmentWide turns at most
_TOO_FAR = 45  # degrees: from here on an image may be nearer to the next quarter than to its own


class RotNet(LabelClassifier):
    """All four rotations of each image in one batch, made by transposing, never by interpolating.

    An update sees ``4 · batch_size`` images. The settings are those of LabelClassifier.

    Source: Gidaris, Singh, Komodakis: Unsupervised representation learning by predicting image
    rotations (ICLR 2018), and its code, FeatureLearningRotNet.
    """

    def build(self, network: Network, images: int, classes: int) -> None:
        super().build(network, images, QUARTERS)

    def check_transforms(self, transforms: Sequence[Mapping[str, Any]]) -> None:
        """Refuses vertical flips and rotations of 45° or more, under which no label is true."""
        for entry in _walk(transforms):
            target = str(entry.get("_target_", ""))
            if target.endswith("RandomVerticalFlip") and entry.get("p", 0.5) > 0:
                raise UserError(
                    "method=rotnet cannot learn from images that are flipped top to bottom, since "
                    "a flipped image looks like a rotated one in a mirror: type vflip=false, or "
                    "augment=paper."
                )
            turn = _largest_turn(entry)
            if turn >= _TOO_FAR:
                raise UserError(
                    f"method=rotnet cannot learn from images that are rotated by up to {turn:g}°, "
                    "since from 45° on they may be nearer to the next quarter turn than to their "
                    "own: type deg=35 or another number below 45, or augment=paper."
                )

    def shortcut(self, transforms: Sequence[Mapping[str, Any]]) -> str | None:
        """Corners of one colour, which rotation and shear open where nothing fills them."""
        entries = list(_walk(transforms))
        for place, entry in enumerate(entries):
            target = str(entry["_target_"])
            if target.endswith("CropResizeAffine"):
                opened = entry.get("corners", "fill") == "fill" and _opens(entry)
            else:
                turns = target.endswith((".RandomRotation", ".RandomAffine"))
                cut = any("CenterCrop" in str(later["_target_"]) for later in entries[place:])
                opened = turns and _largest_turn(entry) > 0 and not cut
            if opened:
                return "by the black corners that rotation and shear leave"
        return None

    def pretext(self, images: Tensor) -> tuple[Tensor, Tensor]:
        turned, quarters = rotate_quarters(images)
        return self(turned), quarters

    def update(self, images: Tensor, indices: Tensor, labels: Tensor, state: TrainState) -> dict:
        turned, quarters = rotate_quarters(images)
        return super().update(turned, indices, quarters, state)


def rotate_quarters(images: Tensor) -> tuple[Tensor, Tensor]:
    """Each image turned by 0, 90, 180 and 270 degrees to the left, and by how many quarters.

    B×3×S×S in; 4B×3×S×S, the unturned ones first, and ``int64`` 4B out.
    """
    turned = [images, images.transpose(2, 3).flip(2), images.flip(2, 3)]
    turned.append(images.transpose(2, 3).flip(3))
    quarters = torch.arange(QUARTERS, device=images.device).repeat_interleave(len(images))
    return torch.cat(turned), quarters


def _walk(entries: object) -> Iterator[Mapping[str, Any]]:
    """Each transform, and those within containers such as RandomApply."""
    if isinstance(entries, Mapping):
        if "_target_" in entries:
            yield entries
        for value in entries.values():
            yield from _walk(value)
    elif isinstance(entries, list | tuple):
        for value in entries:
            yield from _walk(value)


def _largest_turn(entry: Mapping[str, Any]) -> float:
    if str(entry["_target_"]).endswith("TrivialAugmentWide"):
        return _TRIVIAL
    turns = any(word in str(entry["_target_"]) for word in ("Rotation", "Affine"))
    first = next(iter(entry.get("_args_", ())), 0) if turns else 0
    degrees = entry.get("degrees", first)
    if isinstance(degrees, list | tuple):
        return max((abs(float(value)) for value in degrees), default=0.0)
    return abs(float(degrees)) if isinstance(degrees, int | float) else 0.0


def _opens(entry: Mapping[str, Any]) -> bool:
    """Whether a CropResizeAffine's result reaches beyond its canvas, √2 times as wide, somewhere.

    The extent of a square under the inverse matrix; see ``_margins`` of the transform.
    """
    degrees, shears = (np.radians(np.linspace(-1, 1, 121) * float(entry.get(key) or 0))
                       for key in ("degrees", "shear"))  # fmt: skip
    cos, sin = np.cos(degrees)[:, None], np.sin(degrees)[:, None]
    slope = np.tan(shears)
    across = abs(cos - sin * slope) + abs(cos * slope + sin)
    return bool(max(across.max(), (abs(cos) + abs(sin)).max()) > math.sqrt(2) + 1e-9)
