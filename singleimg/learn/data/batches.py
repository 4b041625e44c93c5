"""The images that training sees, all of one size, as ``uint8`` B×3×S×S, by their indices.

Small sets are rendered (or decoded) once and lie in memory; larger ones come from a DataLoader
when they are needed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from copy import copy

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.v2 import functional

from singleimg.system.bars import Bar

_SHARE = 0.5  # of a GPU's free memory, that images may take
_CHUNK = 250  # images that a process hands over at once while memory is filled


class Images(ABC):
    """``labels``: a class for each image, ``int64`` N; all 0 where there is none."""

    def __init__(self, count: int, size: int, labels: Tensor | None = None) -> None:
        self.count, self.size = count, size
        self.labels = torch.zeros(count, dtype=torch.int64) if labels is None else labels

    def __len__(self) -> int:
        return self.count

    @abstractmethod
    def batches(self, indices: Sequence[np.ndarray]) -> Iterator[Tensor]:
        """For each array of indices the images: ``uint8`` B×3×S×S."""

    def on(self, device: torch.device) -> Images:
        """The same with all that is in memory moved to ``device``, where it fits."""
        moved = copy(self)
        moved.labels = self.labels.to(device)
        return moved


class InMemory(Images):
    """All of them as one tensor: ``uint8`` N×3×S×S."""

    def __init__(self, pixels: Tensor, labels: Tensor | None = None) -> None:
        super().__init__(len(pixels), pixels.shape[-1], labels)
        self.pixels = pixels

    def batches(self, indices: Sequence[np.ndarray]) -> Iterator[Tensor]:
        for batch in indices:
            yield self.pixels[torch.as_tensor(batch).to(self.pixels.device, non_blocking=True)]

    def on(self, device: torch.device) -> Images:
        moved = super().on(device)
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if self.pixels.numel() > _SHARE * free:
                return moved
        moved.pixels = self.pixels.to(device)
        return moved


class StreamedImages(Images):
    """Made by the processes of a DataLoader, while the batches before them are trained on."""

    def __init__(self, dataset: Dataset, size: int, workers: int, labels: Tensor | None) -> None:
        super().__init__(len(dataset), size, labels)
        self.dataset, self.workers = Pixels(dataset, size), workers

    def batches(self, indices: Sequence[np.ndarray]) -> Iterator[Tensor]:
        yield from DataLoader(
            self.dataset,
            batch_sampler=[list(map(int, batch)) for batch in indices],
            num_workers=self.workers,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # else it draws from torch's own, which dropout needs
        )


class Pixels(Dataset):
    """A dataset of (Pillow image, class) as tensors of one size: ``uint8`` 3×S×S.

    An image of another size is resized to it along its shorter side, and its middle is taken.
    """

    def __init__(self, dataset: Dataset, size: int) -> None:
        self.dataset, self.size = dataset, size

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Tensor:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Tensor]:
        """A batch, of which a DataLoader asks at once: what is rendered for it is drawn at once."""
        many = getattr(self.dataset, "__getitems__", None)
        found = many(list(indices)) if many else [self.dataset[index] for index in indices]
        return [functional.pil_to_tensor(to_square(image, self.size)) for image, *_ in found]


def to_square(image: Image.Image, size: int) -> Image.Image:
    """``image`` as RGB of size×size."""
    image = image if image.mode == "RGB" else image.convert("RGB")
    if image.size != (size, size):
        image = functional.resize(image, [size])
        image = functional.center_crop(image, [size, size])
    return image


def open_images(
    dataset: Dataset,
    size: int,
    *,
    workers: int,
    memory: float,
    labels: Sequence[int] | None = None,
) -> Images:
    """The images of a dataset of (Pillow image, class), kept when they fit in ``memory`` GB."""
    classes = None if labels is None else torch.tensor(labels, dtype=torch.int64)
    if len(dataset) * 3 * size**2 > memory * 1e9:
        return StreamedImages(dataset, size, workers, classes)
    return InMemory(_read_all(dataset, size, workers), classes)


def _read_all(dataset: Dataset, size: int, workers: int) -> Tensor:
    pixels = torch.empty(len(dataset), 3, size, size, dtype=torch.uint8)
    alone = workers == 1 or len(dataset) < 8 * _CHUNK  # processes take longer to start
    loader = DataLoader(
        Pixels(dataset, size), batch_size=_CHUNK, num_workers=0 if alone else workers
    )
    done = 0
    with Bar(len(dataset), what="images") as bar:
        for batch in loader:
            pixels[done : done + len(batch)] = batch
            done += len(batch)
            bar.update(len(batch))
    return pixels


def whole_batches(order: np.ndarray, batch_size: int) -> np.ndarray:
    """``order`` in whole batches: n×batch_size; what remains is left out this time."""
    whole = len(order) // batch_size
    return order[: whole * batch_size].reshape(whole, batch_size)
