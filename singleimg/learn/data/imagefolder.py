"""``data=imagefolder``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch.utils.data import Dataset
from torchvision import datasets

from singleimg.errors import UserError, file_path
from singleimg.learn.data.base import Labelled, classes, open_split

_TEST = ("test", "val", "validation")  # names that folders of held-out images go by


@dataclass(frozen=True)
class Folders(Labelled):
    """``path/train/<class>/…`` and ``path/test/<class>/…`` (or ``val``)."""

    path: str
    name: str = "imagefolder"

    def train(self) -> Dataset:
        """Those below ``train``."""
        return self._folder(("train",))

    def test(self) -> Dataset:
        """Those below ``test`` (or ``val``)."""
        test, train = self._folder(_TEST), Path(os.path.expanduser(file_path(self.path))) / "train"
        if train.is_dir() and classes(test) != classes(self.train()):
            raise UserError(
                f"data.path={self.path} holds other classes to test on than to train on: give both "
                "folders a folder for each class, of the same names."
            )
        return test

    def _folder(self, names: Sequence[str]) -> Dataset:
        for name in names:
            folder = Path(os.path.expanduser(file_path(self.path))) / name
            if folder.is_dir():
                return open_split(partial(_folder, folder), self)
        raise UserError(
            f"data.path={self.path} holds no folder {names[0]}: type a folder that holds "
            "train/<class>/… and test/<class>/…."
        )


def _folder(folder: Path, root: str) -> Dataset:
    return datasets.ImageFolder(folder)
