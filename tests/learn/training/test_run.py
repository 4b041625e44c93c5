"""What a training was made on and how long it took, from one process to the next."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from omegaconf import DictConfig

import singleimg
from singleimg.errors import UserError
from singleimg.learn.networks.base import Trunk
from singleimg.learn.networks.cifar_conv4 import CifarConv4
from singleimg.learn.training.run import _trained_on, describe_run, train

ONE = {"accelerator": "cpu", "devices": 1, "machines": 1}
TWO = {**ONE, "devices": 2}
GPU = {**ONE, "accelerator": "cuda"}


@pytest.mark.parametrize(
    "before, now, after",
    [
        ([(0, ONE)], ONE, [(0, ONE)]),
        ([(0, ONE)], TWO, [(0, ONE), (9, TWO)]),
        ([(0, ONE)], GPU, [(0, ONE), (9, GPU)]),
        ([(0, ONE), (5, TWO)], ONE, [(0, ONE), (5, TWO), (9, ONE)]),
        ([(0, ONE), (12, TWO)], ONE, [(0, ONE)]),  # of update 12 no checkpoint is left
        ([(0, ONE), (9, TWO)], GPU, [(0, ONE), (9, GPU)]),
        ([(0, ONE)], None, [(0, ONE)]),  # nothing is left to do
        ([], ONE, [(0, {"devices": 1})]),  # of a version that wrote none
        ([], TWO, [(0, {"devices": 1}), (9, TWO)]),
    ],
)
def test_a_training_knows_on_what_it_was_made(tmp_path, before, now, after):
    """It goes on from a checkpoint of update 9 with one device's random numbers."""
    entries = [{"from_update": update, **one} for update, one in before]
    names = {"_target_": "singleimg.learn.methods.rotnet.RotNet"}
    record = {"decides": {"method": names, "network": names}, "made_with": {}}
    record |= {"trained_on": entries} if entries else {}
    (tmp_path / "pretrain.json").write_text(json.dumps(record))
    found = _trained_on(SimpleNamespace(folder=tmp_path), {"step": 9, "random": [[0]]}, now)
    assert found == [{"from_update": update, **one} for update, one in after]


def test_one_that_begins_knows_it_too(tmp_path):
    assert _trained_on(SimpleNamespace(folder=tmp_path), None, TWO) == [{"from_update": 0, **TWO}]


def typed(picture: Path, folder: Path, *more: str) -> DictConfig:
    """A training of two updates."""
    return singleimg.compose(
        "task=pretrain", "method=rotnet", "network=cifar_conv4", "augment=paper", "img_size=32",
        f"imgpath={picture}", "num_imgs=64", "method.batch_size=32", "method.epochs=1",
        f"targetpath={folder}", *more,
    )  # fmt: skip


def test_one_that_is_whole_took_what_it_took(picture: Path, tmp_path: Path):
    cfg = typed(picture, tmp_path)
    first = train(describe_run(cfg))
    assert first.seconds > 0 and train(describe_run(cfg)) == first


def test_weights_that_a_network_comes_with_are_read_once(
    picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    read: list[Trunk] = []
    monkeypatch.setattr(CifarConv4, "load_pretrained", lambda network, trunk: read.append(trunk))
    cfg = typed(picture, tmp_path, "task.keep=[0.5]")
    train(describe_run(cfg))
    checkpoints = tmp_path / "checkpoints"
    (checkpoints / "at-50.pt").replace(checkpoints / "last.pt")
    run = describe_run(cfg)
    train(run)  # resumes
    singleimg.load_trunk(tmp_path)
    assert len(read) == 1 and read[0] is not run.method.trunk


def test_a_method_that_cannot_be_built_leaves_nothing(picture: Path, tmp_path: Path):
    folder = tmp_path / "run"
    cfg = typed(picture, folder, "method=bigan", "method.generated_size=20")
    with pytest.raises(UserError, match=r"method\.generated_size=20 is not 8, 16"):
        train(describe_run(cfg))
    assert not folder.exists()
