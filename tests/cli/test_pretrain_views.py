"""``task=pretrain`` with two views: how it goes on after ``kill -9``, and on what it trains."""

from __future__ import annotations

import math
import shutil
import signal
from pathlib import Path

import pytest

from singleimg import RenderedDataset, compose
from singleimg.learn.training.journal import read
from tests.cli.test_pretrain import SMALL, assert_same_training, kill_at, same, state

pytest.importorskip("lightly")
HEADS = {
    "simclr": [],
    "vicreg": ["method.output=32"],
    "byol": ["method.teacher_momentum=0.9"],
    "dino": ["method.teacher_momentum=0.9", "method.output=64", "method.frozen=0.2"],
}


@pytest.fixture(scope="module")
def image(picture: Path) -> str:
    """The source, as it is typed."""
    return f"imgpath={picture}"


def twenty_updates(method: str, image: str) -> list[str]:
    """A short training, whose checkpoint is written after each update."""
    return [*SMALL, image, f"method={method}", *HEADS[method], "method.hidden=32",
            "method.batch_size=16", "method.updates=20", "train.log_every=1",
            "train.checkpoint_every=1", "task.keep=[0.4]", "task.tensorboard=false"]  # fmt: skip


@pytest.mark.parametrize("method", ["byol", "dino"])
def test_after_kill_9_teacher_and_all_go_on_as_if_nothing_had_happened(
    run, image, tmp_path, method
):
    command = twenty_updates(method, image)
    run(*command, f"targetpath={tmp_path / 'whole'}")
    killed = tmp_path / "killed"
    kill_at(command, killed, 8, signal.SIGKILL).wait()
    assert 0 < state(killed)["step"] < 20
    run(*command, f"targetpath={killed}")
    assert_same_training(tmp_path / "whole", killed)
    teacher = [key for key in state(killed)["method"] if key.startswith("teacher.")]
    assert len(teacher) > 20 and ("dino.center" in state(killed)["method"]) == (method == "dino")


@pytest.mark.parametrize("method", ["simclr", "vicreg"])
def test_a_checkpoint_is_all_that_is_needed_to_go_on(run, image, tmp_path, method):
    command = twenty_updates(method, image)
    run(*command, f"targetpath={tmp_path / 'whole'}")
    last = tmp_path / "resumed" / "checkpoints" / "last.pt"
    last.parent.mkdir(parents=True)
    shutil.copy(tmp_path / "whole" / "checkpoints" / "at-40.pt", last)
    run(*command, f"targetpath={last.parents[1]}")
    for part in ("method", "optimizers", "step", "random"):
        assert same(state(tmp_path / "whole")[part], state(last.parents[1])[part]), part


def test_it_leaves_a_picture_of_views_and_its_metrics(run, image, tmp_path):
    folder = tmp_path / "run"
    run(*twenty_updates("simclr", image), "method.updates=6", f"targetpath={folder}")
    assert (folder / "pictures" / "views-0001.png").exists()
    assert {"loss", "accuracy", "spread", "lr"} <= read(folder / "updates.csv")[0].keys()


def test_real_images_and_renderings_are_cut_into_views_in_the_same_way(run, image, tmp_path):
    """The same pixels, once rendered and once as a folder of real images: the same weights."""
    command = [*twenty_updates("simclr", image), "method.updates=5"]
    run(*dict.fromkeys(command), f"targetpath={tmp_path / 'rendered'}")
    patches = RenderedDataset(compose(*SMALL[2:], image))
    for part in ("train", "test"):
        (tmp_path / "real" / part / "all").mkdir(parents=True)
    for index in range(96):
        pixels = patches[index][0]
        pixels.save(tmp_path / "real" / "train" / "all" / f"{index:03d}.png")
    pixels.save(tmp_path / "real" / "test" / "all" / "one.png")
    real = [word for word in command if word not in (image, "augment=paper", "num_imgs=96")]
    run(*dict.fromkeys(real), "data=imagefolder", f"data.path={tmp_path / 'real'}",
        f"targetpath={tmp_path / 'trained'}")  # fmt: skip
    assert same(state(tmp_path / "rendered")["method"], state(tmp_path / "trained")["method"])


@pytest.mark.parametrize("method", HEADS)
def test_it_takes_images_larger_than_the_network_s(run, image, tmp_path, method):
    command = twenty_updates(method, image)
    run(*command, "img_size=40", "method.updates=1", f"targetpath={tmp_path / 'run'}")
    assert state(tmp_path / "run")["step"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("method", HEADS)
def test_two_processes_compare_views_with_those_of_both(run_process, image, tmp_path, method):
    """SimCLR's first loss is near log(31), of 16 pairs: each process has 8 of them, log(15)."""
    folder = tmp_path / "run"
    run_process(*twenty_updates(method, image), "method.updates=3", "train.devices=2",
                "train.accelerator=cpu", f"targetpath={folder}")  # fmt: skip
    losses = [row["loss"] for row in read(folder / "updates.csv")]
    assert len(losses) == 3 and all(map(math.isfinite, losses))
    if method == "simclr":
        assert losses[0] > math.log(31) - 0.1
