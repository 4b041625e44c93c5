"""What a training keeps: checkpoints, its journal, its random numbers, its images."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import Dataset

from singleimg.errors import UserError
from singleimg.pretrain import checkpoints
from singleimg.pretrain.images import InMemory, Streamed, cut, fitted, open_images
from singleimg.pretrain.journal import UPDATES, Journal, read, stretched, tiled
from singleimg.pretrain.randomness import generator, numbers
from singleimg.pretrain.work import Diverged

STATE = {"fingerprint": "f", "method": {"weight": torch.ones(3)}, "step": 4}


def test_a_checkpoint_comes_back(tmp_path):
    file = tmp_path / "checkpoints" / "last.pt"
    checkpoints.save(file, STATE)
    assert torch.equal(checkpoints.load(file)["method"]["weight"], torch.ones(3))
    assert [one.name for one in file.parent.iterdir()] == ["last.pt"]


def test_a_write_that_fails_leaves_the_old_one_whole(tmp_path, monkeypatch):
    file = tmp_path / "checkpoints" / "last.pt"
    checkpoints.save(file, STATE)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        checkpoints.save(file, {**STATE, "step": 5})
    assert checkpoints.load(file)["step"] == 4
    assert [one.name for one in file.parent.iterdir()] == ["last.pt"]


class Stranger:
    """Whose pickle would run a command."""

    def __reduce__(self) -> tuple:
        return os.system, ("touch harmed",)


def test_a_strangers_checkpoint_runs_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({**STATE, "method": Stranger()}, tmp_path / "one.pt")
    (tmp_path / "two.pt").write_bytes(pickle.dumps(Stranger()))
    for name in ("one.pt", "two.pt"):
        with pytest.raises(UserError, match="cannot be read as a checkpoint"):
            checkpoints.load(tmp_path / name)
    assert not (tmp_path / "harmed").exists()


def test_what_is_no_checkpoint_is_said_to_be_none(tmp_path):
    torch.save({"weight": torch.ones(2)}, tmp_path / "other.pt")
    with pytest.raises(UserError) as mistake:
        checkpoints.load(tmp_path / "other.pt")
    assert str(mistake.value) == (
        f"{tmp_path / 'other.pt'} is no checkpoint of task=pretrain: type the folder of one."
    )
    with pytest.raises(UserError, match=r"does not exist: type checkpoint=<folder of a pretrain"):
        checkpoints.load(tmp_path / "none.pt")


def test_a_journal_goes_on_where_the_checkpoint_is(tmp_path):
    first = Journal(tmp_path, 0, False)
    for step in range(1, 6):
        first.update(step, {"loss": step / 2})
    with (tmp_path / UPDATES).open("a") as stream:
        stream.write("6,")  # a line that a kill cut off
    second = Journal(tmp_path, 3, False)
    second.update(4, {"loss": 9})
    rows = read(tmp_path / UPDATES)
    assert [(row["step"], row["loss"]) for row in rows] == [(1, 0.5), (2, 1), (3, 1.5), (4, 9)]


def test_a_journal_that_begins_anew_keeps_nothing(tmp_path):
    Journal(tmp_path, 0, False).update(1, {"loss": 1})
    Journal(tmp_path, 0, False).update(1, {"other": 2})
    assert read(tmp_path / UPDATES) == [{"step": 1, "other": 2}]


def test_pictures_are_tiled_with_white_lines():
    grid = tiled(torch.zeros(9, 3, 4, 5), across=8)
    assert grid.shape == (9, 47, 3)
    assert (grid[4] == 255).all() and (grid[:, 5] == 255).all() and (grid[:4, :5] == 0).all()
    assert (grid[5:, 6:] == 255).all()  # where no picture is


def test_filters_are_stretched_to_their_own_range():
    shown = stretched(torch.randn(4, 3, 7, 7) * 10)
    assert shown.shape == (4, 3, 21, 21)
    assert torch.equal(shown.amin((1, 2, 3)), torch.zeros(4))
    assert torch.allclose(shown.amax((1, 2, 3)), torch.ones(4))


def test_random_numbers_are_functions_of_seed_purpose_and_number():
    def three(*key: object) -> list[float]:
        return numbers(*key).random(3).tolist()

    assert three(0, "order", 1) == three(0, "order", 1)
    others = [three(0, "order", 1), three(1, "order", 1), three(0, "crop", 1), three(0, "order", 2)]
    assert len(set(map(tuple, others))) == 4
    first, again = (torch.rand(3, generator=generator(0, "crop", 5)) for _ in range(2))
    assert torch.equal(first, again)


def test_a_batch_that_does_not_fill_is_left_out():
    assert cut(np.arange(10), 4).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert cut(np.arange(3), 4).shape == (0, 4)


class Pictures(Dataset):
    """Twenty pictures of several sizes and modes."""

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        random = np.random.default_rng(index)
        pixels = random.integers(0, 256, (30 + index, 40, 3), dtype=np.uint8)
        image = Image.fromarray(pixels)
        return image.convert("L") if index % 3 == 0 else image, index % 4


def test_images_are_the_same_from_memory_and_from_processes():
    labels = [index % 4 for index in range(20)]
    memory = open_images(Pictures(), 32, workers=1, memory=1, labels=labels)
    stream = open_images(Pictures(), 32, workers=2, memory=0, labels=labels)
    assert isinstance(memory, InMemory) and isinstance(stream, Streamed)
    places = [np.array([3, 17]), np.array([0, 3, 5])]
    for one, two in zip(memory.batches(places), stream.batches(places), strict=True):
        assert one.dtype == torch.uint8 and torch.equal(one, two)
    assert torch.equal(memory.labels, stream.labels) and memory.labels.tolist() == labels


def test_an_image_of_another_size_is_resized_along_its_shorter_side():
    columns = np.tile(np.arange(80, dtype=np.uint8) * 3, (40, 1))
    shown = np.asarray(fitted(Image.fromarray(columns), 20))
    assert shown.shape == (20, 20, 3)
    assert abs(int(shown[10, 10, 0]) - 3 * 40) <= 5  # the middle stays the middle
    assert abs(int(shown[10, -1, 0]) - int(shown[10, 0, 0]) - 3 * 38) <= 8


def test_a_gradient_that_is_too_long_is_scaled_down(work):
    layer = nn.Linear(4, 1, bias=False)
    before = layer.weight.detach().clone()
    work.most = 0.5
    work.descend(1000 * layer(torch.ones(1, 4)).sum(), torch.optim.SGD(layer.parameters(), 1.0))
    assert float((layer.weight - before).norm()) == pytest.approx(0.5, rel=1e-4)
    assert work.norm == pytest.approx(2000)


def test_numbers_that_are_none_end_the_training_with_a_sentence(work):
    layer = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    before = layer.weight.detach().clone()
    work.step = 41
    with pytest.raises(Diverged) as mistake:
        work.descend(layer(torch.tensor([[float("nan")]])).sum(), optimizer)
    assert str(mistake.value) == (
        "update 42 has a gradient that is not finite (its loss is nan): type a smaller method.lr, "
        "or train.max_norm=1, and resume=never to begin anew."
    )
    assert torch.equal(layer.weight, before)


def test_several_optimisers_step_together(work):
    one, two = nn.Linear(2, 2), nn.Linear(2, 1)
    before = [p.detach().clone() for p in (*one.parameters(), *two.parameters())]
    optimizers = [torch.optim.SGD(layer.parameters(), 0.1) for layer in (one, two)]
    work.descend(two(one(torch.ones(3, 2))).sum(), *optimizers)
    after = [*one.parameters(), *two.parameters()]
    assert not any(map(torch.equal, before, after))


def test_the_folder_is_named_in_the_sentence_of_a_disk_that_is_full(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(torch, "save", lambda *_: (_ for _ in ()).throw(RuntimeError("no room")))
    with pytest.raises(UserError, match=f"targetpath={tmp_path} cannot be written"):
        checkpoints.save(tmp_path / "checkpoints" / "last.pt", STATE)
