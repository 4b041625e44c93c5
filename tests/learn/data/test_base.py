"""Labelled sets: what is read of them, and the sentence where they are not."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from PIL import Image
from torchvision import datasets

from singleimg.errors import UserError
from singleimg.learn.data.base import classes, identity, targets
from singleimg.learn.data.cifar10 import Cifar10
from singleimg.learn.data.cifar100 import Cifar100
from singleimg.learn.data.imagefolder import Folders
from singleimg.learn.data.imagenet import ImageNet


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


def test_which_images_a_set_holds_is_told_by_their_names_and_classes(tmp_path):
    for place, names in (("a", "12"), ("b", "12"), ("c", "13")):
        for label in ("cat", "dog"):
            (tmp_path / place / "train" / label).mkdir(parents=True)
            for name in names:
                Image.new("L", (5, 4)).save(tmp_path / place / "train" / label / f"{name}.png")
    a, b, c = (identity(Folders(str(tmp_path / place)).train()) for place in "abc")
    assert a == b != c and len(a) == 8
    (tmp_path / "b" / "train" / "dog").rename(tmp_path / "b" / "train" / "fox")
    assert identity(Folders(str(tmp_path / "b")).train()) != a


def test_a_folder_without_them_is_refused(tmp_path):
    with pytest.raises(UserError) as mistake:
        Folders(str(tmp_path)).train()
    assert str(mistake.value) == (
        f"data.path={tmp_path} holds no folder train: type a folder that holds train/<class>/… and "
        "test/<class>/…."
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


# --- folders -------------------------------------------------------------------------------------


def folder_of(place: Path, **parts: list[str]) -> Folders:
    """One image for each of these classes, below each of these folders."""
    for part, labels in parts.items():
        for label in labels:
            (place / part / label).mkdir(parents=True)
            Image.new("RGB", (4, 4)).save(place / part / label / "0.png")
    return Folders(str(place))


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(UserError) as mistake:
        call()
    return str(mistake.value)


@pytest.mark.parametrize(("there", "read"), [
    (["validation"], "validation"), (["val", "validation"], "val"), (["test", "val"], "test"),
])  # fmt: skip
def test_of_several_folders_to_test_on_the_first_is_read(
    tmp_path: Path, there: list[str], read: str
) -> None:
    data = folder_of(tmp_path, **{name: ["cat"] for name in there})
    assert {Path(file).relative_to(tmp_path).parts[0] for file, _ in data.test().samples} == {read}


def test_a_folder_to_test_on_that_is_missing_is_named(tmp_path: Path) -> None:
    data = folder_of(tmp_path, train=["cat"])
    assert refused(data.test) == (
        f"data.path={tmp_path} holds no folder test: type a folder that holds train/<class>/… and "
        "test/<class>/…."
    )


def test_the_home_folder_may_be_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(tmp_path / "mine", train=["cat", "dog"])
    monkeypatch.setenv("HOME", str(tmp_path))
    assert targets(Folders("~/mine").train()) == [0, 1]


def test_classes_are_known_without_reading_an_image(tmp_path: Path) -> None:
    data = folder_of(tmp_path, train=["cat", "dog"])
    for file in tmp_path.rglob("*.png"):
        file.write_bytes(b"")
    assert targets(data.train()) == [0, 1] and classes(data.train()) == ["cat", "dog"]


def test_a_class_has_the_number_that_it_was_trained_with_or_is_refused(tmp_path: Path) -> None:
    """The test images hold one class less: numbered anew, an owl would count as a dog."""
    data = folder_of(tmp_path, train=["cat", "dog", "owl"], test=["cat", "owl"])
    try:
        test = data.test()
    except UserError:
        return
    assert [classes(data.train())[label] for label in targets(test)] == ["cat", "owl"]


# --- CIFAR ---------------------------------------------------------------------------------------

COUNTED = np.arange(3072, dtype=np.uint16)[None] % 251


def cifar10_of(place: Path) -> Cifar10:
    """Batches of one image each, whose class tells which file it lies in."""
    folder = place / "cifar-10-batches-py"
    folder.mkdir()
    for label, name in enumerate([*[f"data_batch_{k}" for k in range(1, 6)], "test_batch"]):
        batch = {"data": COUNTED.astype(np.uint8), "labels": [label]}
        (folder / name).write_bytes(pickle.dumps(batch))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdef")}))
    return Cifar10(str(place))


@pytest.mark.parametrize("part", ["train", "test"])
def test_cifar_files_that_were_changed_are_refused(tmp_path: Path, part: str) -> None:
    """Files in its authors' format, but not theirs."""
    assert refused(getattr(cifar10_of(tmp_path), part)) == (
        f"data.path={tmp_path} cannot be read as data=cifar10 (Dataset not found or corrupted. You "
        "can use download=True to download it): type the folder that holds it, or "
        "data.download=true."
    )


def test_the_five_batches_of_cifar10_are_trained_on_and_the_sixth_is_tested_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    data = cifar10_of(tmp_path)
    assert targets(data.train()) == [0, 1, 2, 3, 4] and targets(data.test()) == [5]
    pixels = np.asarray(data.test()[0][0])
    assert np.array_equal(pixels, COUNTED.reshape(3, 32, 32).transpose(1, 2, 0))


def test_a_download_that_fails_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: datasets.CIFAR10) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(datasets.CIFAR10, "download", fail)
    assert refused(Cifar100(str(tmp_path), download=True).train) == (
        f"data.path={tmp_path} cannot be read as data=cifar100 (<urlopen error no route to host>): "
        "type the folder that holds it."
    )


# --- ImageNet ------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["train", "test"])
def test_imagenet_without_its_archives_is_refused(tmp_path: Path, part: str) -> None:
    pytest.importorskip("scipy")
    said = refused(getattr(ImageNet(str(tmp_path)), part))
    assert said == (
        f"data.path={tmp_path} cannot be read as data=imagenet (The archive "
        "ILSVRC2012_devkit_t12.tar.gz is not present in the root directory or is corrupted. You "
        f"need to download it externally and place it in {tmp_path}.): type the folder that holds "
        "it."
    )


def test_imagenet_where_scipy_is_not_installed_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchvision imports it to unpack the archives, and the package train does not ask for it."""
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    assert "scipy" in refused(ImageNet(str(tmp_path)).train)


def test_of_imagenet_the_validation_set_is_tested_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "ImageNet", lambda root, split: (root, split))
    monkeypatch.setenv("HOME", str(tmp_path))
    for data in (ImageNet(str(tmp_path)), ImageNet("~")):
        assert data.train() == (str(tmp_path), "train") and data.test() == (str(tmp_path), "val")
