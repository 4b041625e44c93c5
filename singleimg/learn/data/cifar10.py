"""``data=cifar10``."""

from __future__ import annotations

from dataclasses import dataclass

from torch.utils.data import Dataset
from torchvision import datasets

from singleimg.learn.data.base import Labelled, open_split


@dataclass(frozen=True)
class Cifar10(Labelled):
    """CIFAR-10 as its authors distribute it; ``download=True`` fetches it into ``path``."""

    kind = datasets.CIFAR10

    path: str
    download: bool = False
    name: str = "cifar10"

    def train(self) -> Dataset:
        """50,000 images of 32 px."""
        return open_split(self.kind, self, train=True, download=self.download)

    def test(self) -> Dataset:
        """10,000 images of 32 px."""
        return open_split(self.kind, self, train=False, download=self.download)
