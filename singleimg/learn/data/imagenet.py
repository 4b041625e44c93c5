"""``data=imagenet``."""

from __future__ import annotations

from dataclasses import dataclass

from torch.utils.data import Dataset
from torchvision import datasets

from singleimg.learn.data.base import Labelled, open_split


@dataclass(frozen=True)
class ImageNet(Labelled):
    """ImageNet (ILSVRC 2012), from the archives in ``path`` or unpacked there by torchvision."""

    path: str
    name: str = "imagenet"

    def train(self) -> Dataset:
        """1,281,167 photographs."""
        return open_split(datasets.ImageNet, self, split="train")

    def test(self) -> Dataset:
        """The 50,000 of its validation set."""
        return open_split(datasets.ImageNet, self, split="val")
