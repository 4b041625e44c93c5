"""Labelled sets: what is read of them, and the sentence where they are not."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets

from singleimg.errors import UserError
from singleimg.labelled import Cifar10, Cifar100, Folders, ImageNet, classes, targets


def test_folders_hold_train_and_test_or_val(tmp_path):
    for part, count in (("train", 3), ("val", 2)):
        for label in ("cat", "dog"):
            (tmp_path / part / label).mkdir(parents=True)
            for number in range(count):
                Image.new("L", (5, 4), number).save(tmp_path / part / label / f"{number}.png")
    data = Folders(str(tmp_path))
    train, test = data.train(), data.test()
    assert classes(train) == ["cat", "dog"] and targets(train) == [0, 0, 0, 1, 1, 1]
    assert len(test) == 4 and test[3][1] == 1 and test[3][0].size == (5, 4)


def test_a_folder_without_them_is_refused(tmp_path):
    with pytest.raises(UserError) as mistake:
        Folders(str(tmp_path)).train()
    assert str(mistake.value) == (
        f"data.path={tmp_path} holds no folder train: with data=imagefolder it holds "
        "train/<class>/… and test/<class>/…."
    )
    (tmp_path / "train").mkdir()
    with pytest.raises(UserError, match="cannot be read as data=imagefolder"):
        Folders(str(tmp_path)).train()  # no class in it


def test_cifar_is_read_as_its_authors_distribute_it(tmp_path, monkeypatch):
    """Files in their format; only the check of their hashes is left out."""
    monkeypatch.setattr(datasets.CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    random = np.random.default_rng(0)
    for kind, key in ((Cifar10, "labels"), (Cifar100, "fine_labels")):
        folder = tmp_path / ("cifar-10-batches-py" if kind is Cifar10 else "cifar-100-python")
        folder.mkdir()
        parts = [*[f"data_batch_{k}" for k in range(1, 6)], "test_batch", "train", "test"]
        for part in parts:
            batch = {"data": random.integers(0, 256, (4, 3072), dtype=np.uint8), key: [3, 1, 0, 2]}
            (folder / part).write_bytes(pickle.dumps(batch))
        names = {"label_names": list("abcd"), "fine_label_names": list("abcd")}
        for meta in ("batches.meta", "meta"):
            (folder / meta).write_bytes(pickle.dumps(names))
        data = kind(str(tmp_path))
        assert targets(data.test()) == [3, 1, 0, 2] and classes(data.train()) == list("abcd")
        assert len(data.train()) == (20 if kind is Cifar10 else 4)
        assert data.train()[0][0].size == (32, 32)


@pytest.mark.parametrize(("kind", "hint"), [
    (Cifar10, ", or data.download=true."), (Cifar100, ", or data.download=true."), (ImageNet, "."),
])  # fmt: skip
def test_a_set_that_is_not_there_is_refused(tmp_path, kind, hint):
    with pytest.raises(UserError) as mistake:
        kind(str(tmp_path)).train()
    assert str(mistake.value).startswith(f"data.path={tmp_path} cannot be read as data=")
    assert str(mistake.value).endswith(f"type the folder that holds it{hint}")
