"""Labelled sets of real images: what probes are trained and tested on, and one image rivals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import numpy as np
from torch.utils.data import Dataset
from torchvision import datasets

from singleimg.errors import UserError

_TEST = ("test", "val", "validation")  # names that folders of held-out images go by


class Labelled(Protocol):
    """The settings in ``conf/data``. Both sets give (Pillow image of any mode, class)."""

    name: str
    path: str

    def train(self) -> Dataset:
        """The images to train on."""

    def test(self) -> Dataset:
        """The images to test on, read once, at the end."""


@dataclass(frozen=True)
class Cifar10:
    """CIFAR-10 as its authors distribute it; ``download=True`` fetches it into ``path``."""

    path: str
    download: bool = False
    name: str = "cifar10"

    def train(self) -> Dataset:
        """50,000 images of 32 px."""
        return _open(datasets.CIFAR10, self, train=True, download=self.download)

    def test(self) -> Dataset:
        """10,000 images of 32 px."""
        return _open(datasets.CIFAR10, self, train=False, download=self.download)


@dataclass(frozen=True)
class Cifar100:
    """CIFAR-100 as its authors distribute it; ``download=True`` fetches it into ``path``."""

    path: str
    download: bool = False
    name: str = "cifar100"

    def train(self) -> Dataset:
        """50,000 images of 32 px."""
        return _open(datasets.CIFAR100, self, train=True, download=self.download)

    def test(self) -> Dataset:
        """10,000 images of 32 px."""
        return _open(datasets.CIFAR100, self, train=False, download=self.download)


@dataclass(frozen=True)
class ImageNet:
    """ImageNet (ILSVRC 2012), from the archives in ``path`` or unpacked there by torchvision."""

    path: str
    name: str = "imagenet"

    def train(self) -> Dataset:
        """1,281,167 photographs."""
        return _open(datasets.ImageNet, self, split="train")

    def test(self) -> Dataset:
        """The 50,000 of its validation set."""
        return _open(datasets.ImageNet, self, split="val")


@dataclass(frozen=True)
class Folders:
    """``path/train/<class>/…`` and ``path/test/<class>/…`` (or ``val``)."""

    path: str
    name: str = "imagefolder"

    def train(self) -> Dataset:
        """Those below ``train``."""
        return self._folder(("train",))

    def test(self) -> Dataset:
        """Those below ``test`` (or ``val``)."""
        test, train = self._folder(_TEST), Path(self.path).expanduser() / "train"
        if train.is_dir() and classes(test) != classes(self.train()):
            raise UserError(
                f"data.path={self.path} holds other classes to test on than to train on: let both "
                "folders hold a folder for each class of the same names."
            )
        return test

    def _folder(self, names: Sequence[str]) -> Dataset:
        for name in names:
            folder = Path(self.path).expanduser() / name
            if folder.is_dir():
                return _open(partial(_folder, folder), self)
        raise UserError(
            f"data.path={self.path} holds no folder {names[0]}: with data=imagefolder it holds "
            "train/<class>/… and test/<class>/…."
        )


def _folder(folder: Path, root: str) -> Dataset:
    return datasets.ImageFolder(folder)


def _open(kind: Callable[..., Dataset], data: Labelled, **settings: object) -> Dataset:
    try:
        return kind(str(Path(data.path).expanduser()), **settings)
    except (RuntimeError, OSError, ModuleNotFoundError) as error:
        download = ", or data.download=true" if getattr(data, "download", None) is False else ""
        raise UserError(
            f"data.path={data.path} cannot be read as data={data.name} "
            f"({' '.join(str(error).split())}): type the folder that holds it{download}."
        ) from None


def identity(dataset: Dataset) -> str:
    """Eight letters for which images these are: names of files, where they have one, and classes.

    No image is read: other pixels below the same names are the same images.
    """
    digest = sha256("\0".join(classes(dataset)).encode())
    digest.update(np.asarray(targets(dataset), np.int64).tobytes())
    root = str(getattr(dataset, "root", ""))
    for file, _ in getattr(dataset, "samples", ()):
        digest.update(f"\0{file.removeprefix(root)}".encode())
    return digest.hexdigest()[:8]


def classes(dataset: Dataset) -> list[str]:
    """The names of the classes, by their numbers."""
    return list(dataset.classes)


def targets(dataset: Dataset) -> list[int]:
    """The class of each image, without reading any."""
    return [int(label) for label in dataset.targets]
