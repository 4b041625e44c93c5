"""The loop asks the device for nothing while it trains: it would have to wait for the answer."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from singleimg.learn.data.batches import InMemory
from singleimg.learn.methods.base import Method
from singleimg.learn.methods.bigan import BiGAN
from singleimg.learn.methods.deepcluster import DeepCluster
from singleimg.learn.methods.rotnet import RotNet
from singleimg.learn.methods.supervised import Supervised
from singleimg.learn.methods.train_state import TrainState
from singleimg.learn.training.loop import LogSettings, Training
from tests.learn.tiny import Fabric, built

METHODS = [
    (RotNet, {}),
    (Supervised, {}),
    (DeepCluster, {"k": 4}),
    (BiGAN, {"latent": 4, "width": 8, "hidden": 16, "generated_size": 32}),
    (BiGAN, {"loss": "wgan_gp", "latent": 4, "width": 8, "hidden": 16, "generated_size": 32,
             "critic_steps": 2}),
]  # fmt: skip
# What copies a value to the processor, or needs to know how large its result is.
WAITS = {"_local_scalar_dense", "nonzero", "is_nonzero", "equal", "item"}


class Watch(TorchDispatchMode):
    """Counts what torch is asked to do."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


class Elsewhere(TrainState):
    """As on a device that one has to wait for."""

    def check(self) -> None:
        """Not at each update."""


def training(method: Method, images: InMemory, folder: Path, **log: int) -> Training:
    return Training(
        method, images, Elsewhere(Fabric(), 0, None), folder, size=32,
        log_settings=LogSettings(tensorboard=False, **log), fingerprint="",
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "settings"), METHODS)
def test_an_update_waits_for_nothing(kind, settings, pictures, tmp_path) -> None:
    batch = {"batch_size": 4, "crop": "padded", "hflip": 0.5}
    method = built(kind, pictures, **batch, **settings)
    one = training(method, pictures, tmp_path)
    method.order(0, one.images, one.state)  # of an epoch: it may
    pixels = next(iter(one.images.batches([np.arange(method.images_an_update)])))
    for optimizer in method.optimizers.values():  # Adam reads its count of steps, on the processor
        optimizer.step = lambda: None  # type: ignore[method-assign]
    with Watch() as watch:
        one._update(pixels, torch.arange(method.images_an_update))
    assert watch.seen["convolution_backward"] > 0
    assert not WAITS & set(watch.seen)


def test_what_updates_say_becomes_numbers_where_it_is_written(pictures, tmp_path) -> None:
    method = built(RotNet, pictures, batch_size=4, updates=4)
    one = training(method, pictures, tmp_path, log_every=4)
    one.run()
    assert set(one.metrics) == {"loss", "accuracy"}
    assert all(type(value) is float for value in one.metrics.values())
    lines = (tmp_path / "updates.csv").read_text().splitlines()
    assert len(lines) == 2 and lines[1].startswith("4,0,")


def test_a_checkpoint_holds_numbers(pictures, tmp_path) -> None:
    method = built(RotNet, pictures, batch_size=4, updates=3)
    one = training(method, pictures, tmp_path, checkpoint_every=2)
    saved = []
    one._save = lambda name: saved.append(one.state_dict()["epoch"])  # type: ignore[method-assign]
    one.run()
    assert saved[0]["done"] == 2
    assert all(type(value) is float for value in saved[0]["sums"].values())


def test_it_knows_the_share_of_crops_in_an_update(pictures, tmp_path) -> None:
    method = built(RotNet, pictures, batch_size=4, updates=4, crop="resized")
    one = training(method, pictures, tmp_path, log_every=2)
    assert one.augmenting == 0
    one.run()
    assert 0 < one.augmenting < 1
