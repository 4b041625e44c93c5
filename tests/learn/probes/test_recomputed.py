"""BatchNorm statistics of other images."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from singleimg.learn.data.batches import InMemory
from singleimg.learn.probes.recomputed import recompute_statistics
from tests.learn.tiny import NETWORK

CPU = torch.device("cpu")


def images(count: int) -> InMemory:
    pixels = np.random.default_rng(0).normal(90, 50, (count, 3, 32, 32)).clip(0, 255)
    return InMemory(torch.from_numpy(pixels.astype(np.uint8)))


def trained() -> nn.Module:
    torch.manual_seed(0)
    trunk = NETWORK.trunk()
    for module in trunk.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean += 3
            module.running_var *= 7
    return trunk.eval()


def test_the_first_layer_has_the_statistics_of_the_images() -> None:
    some, trunk = images(250), trained()
    norm = trunk.stages[0][1]
    before = norm(trunk.stages[0][0](torch.rand(4, 3, 32, 32)))
    own = recompute_statistics(trunk, some, 32, CPU)
    seen = (some.pixels.float() / 255 - trunk.mean) / trunk.deviation
    maps = trunk.stages[0][0](seen).double()
    assert torch.allclose(own.stages[0][1].running_mean.double(), maps.mean((0, 2, 3)), atol=1e-4)
    assert torch.allclose(own.stages[0][1].running_var.double(), maps.var((0, 2, 3)), rtol=1e-3)
    assert before.shape[0] == 4


def test_the_trunk_itself_and_all_weights_stay_as_they_are() -> None:
    trunk = trained()
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    own = recompute_statistics(trunk, images(300), 32, CPU)
    assert all(torch.equal(before[name], value) for name, value in trunk.state_dict().items())
    changed = {
        name for name, value in own.state_dict().items() if not torch.equal(before[name], value)
    }
    assert changed and all("running_" in name or "num_batches" in name for name in changed)
    assert not own.training and not any(module.training for module in own.modules())


def test_batches_count_alike() -> None:
    """The statistics are means over the batches of one pass."""
    some, trunk = images(500), trained()
    whole = recompute_statistics(trunk, some, 32, CPU)
    halves = [
        recompute_statistics(trunk, InMemory(part), 32, CPU) for part in some.pixels.split(250)
    ]
    means = [one.stages[3][1].running_mean for one in halves]
    assert torch.allclose(whole.stages[3][1].running_mean, sum(means) / 2, atol=1e-5)
