"""Labelled sets of real images: what probes are trained and tested on, and one image rivals."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from singleimg.errors import UserError, file_path, misfit


class Labelled(ABC):
    """The settings in ``conf/data``. Both sets give (Pillow image of any mode, class)."""

    name: str
    path: str

    @abstractmethod
    def train(self) -> Dataset:
        """The images to train on."""

    @abstractmethod
    def test(self) -> Dataset:
        """The images to test on, read once, at the end."""


def open_split(kind: Callable[..., Dataset], data: Labelled, **settings: object) -> Dataset:
    try:
        return kind(os.path.expanduser(file_path(data.path)), **settings)
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
    return list(_owed(dataset, "classes"))


def targets(dataset: Dataset) -> list[int]:
    """The class of each image, without reading any."""
    return [int(label) for label in _owed(dataset, "targets")]


def _owed(dataset: Dataset, name: str) -> Any:
    if not hasattr(dataset, name):
        raise misfit("a labelled set", dataset, f"a dataset with {name}")
    return getattr(dataset, name)
