"""What our transforms share where they render with Pillow, and their base class. Imports torch."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2._utils import query_size

from singleimg.transforms.base import Law, mirrored, rows_of


class _TorchNumbers:
    """Torch's own generator, for ``count`` images: one, or none of them."""

    def __init__(self, count: int = 1) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def of(self, rows: np.ndarray) -> _TorchNumbers:
        return _TorchNumbers(len(rows))

    def uniform(self) -> np.ndarray:
        return torch.rand(self._count, dtype=torch.float64).numpy()

    def below(self, n: int | np.ndarray) -> np.ndarray:
        bounds = np.broadcast_to(n, self._count).tolist()
        return np.array([int(torch.randint(bound, ())) for bound in bounds], np.int64)

    def permutation(self, n: int) -> np.ndarray:
        return np.array([torch.randperm(n).tolist() for _ in range(self._count)]).reshape(-1, n)


class LawfulTransform(v2.Transform):
    """A transform that draws by a ``law`` of ours; a subclass has ``transform``, which renders."""

    def __init__(self, law: Law) -> None:
        super().__init__()
        self.law = law

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """What the law draws, from torch's generator, for the size of the inputs."""
        params = self.law.draw(_TorchNumbers(), lambda: np.array([query_size(flat_inputs)]))
        return rows_of(params, 1)[0]

    def extra_repr(self) -> str:
        """The settings, as torchvision shows those of its own transforms."""
        return ", ".join(f"{one.name}={getattr(self.law, one.name)}" for one in fields(self.law))


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
