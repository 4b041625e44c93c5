"""Wide residual networks: the sizes of the paper, maps that are read and not changed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from singleimg.config.location import CONF
from singleimg.errors import UserError
from singleimg.learn.networks.wrn import WideResNet


@pytest.mark.parametrize(("depth", "width", "millions"), [
    (40, 1, 0.6), (40, 2, 2.2), (40, 4, 8.9), (16, 8, 11.0), (22, 8, 17.2), (28, 10, 36.5),
])  # fmt: skip
def test_it_has_as_many_weights_as_the_paper_says(depth: int, width: int, millions: float) -> None:
    """Table 4 of Zagoruyko and Komodakis, with a last layer of ten classes."""
    with torch.device("meta"):
        trunk = WideResNet(depth, width).trunk()
    last = 10 * (64 * width + 1)
    count = sum(weight.numel() for weight in trunk.parameters()) + last
    assert round(count / 1e6, 1) == millions


@pytest.mark.parametrize("depth", [10, 16, 40])
def test_depth_counts_all_convolutions_those_of_shortcuts_too(depth: int) -> None:
    modules = WideResNet(depth, 2).trunk().modules()
    sizes = [module.kernel_size for module in modules if isinstance(module, nn.Conv2d)]
    assert (sizes.count((3, 3)), sizes.count((1, 1))) == (depth - 3, 3) and len(sizes) == depth


def test_its_maps_are_those_of_the_first_convolution_and_of_three_groups() -> None:
    trunk = WideResNet().trunk()
    assert trunk.shapes(32) == [(16, 32), (64, 32), (128, 16), (256, 8)]
    images = torch.rand(2, 3, 32, 32)
    maps = trunk.eval().layers(images)
    assert torch.allclose(trunk(images), maps[-1].mean((2, 3))) and trunk(images).shape == (2, 256)
    assert maps[-1].min() >= 0 > max(values.min() for values in maps[:-1])


@pytest.mark.parametrize("norm", [True, False])
def test_no_stage_changes_the_map_of_the_one_before(norm: bool) -> None:
    trunk = WideResNet(10, 1).trunk(norm, 0.2).eval()
    maps = trunk.layers(torch.rand(2, 3, 32, 32))
    for place, stage in enumerate(trunk.stages[1:], 1):
        before = maps[place - 1].clone()
        assert torch.equal(stage(maps[place - 1]), maps[place])
        assert torch.equal(maps[place - 1], before)


def test_without_norm_it_has_biases_and_the_slope_that_was_asked_for() -> None:
    modules = list(WideResNet(10, 1).trunk(norm=False, slope=0.2).modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in modules)
    assert all(module.bias is not None for module in modules
               if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3))  # fmt: skip
    assert {module.negative_slope for module in modules if isinstance(module, nn.LeakyReLU)} == {
        0.2
    }


def test_its_first_stages_can_be_frozen() -> None:
    trunk = WideResNet(10, 1).trunk()
    trunk.freeze(2)
    trunk.train()
    moved = {name for name, weight in trunk.named_parameters() if weight.requires_grad}
    assert {name.split(".")[1] for name in moved} == {"2", "3"}


@pytest.mark.parametrize(("settings", "sentence"), [
    ({"depth": 18}, "network.depth=18 is not 4 more than a multiple of 6, from 10 on: type for "
     "example network.depth=16."),
    ({"depth": 4}, "network.depth=4 is not 4 more than a multiple of 6, from 10 on: type for "
     "example network.depth=16."),
    ({"depth": 16.0}, "network.depth=16.0 is not 4 more than a multiple of 6, from 10 on: type for "
     "example network.depth=16."),
    ({"width": 0}, "network.width=0 is not a whole number of 1 or more: type for example "
     "network.width=4."),
    ({"width": 1.5}, "network.width=1.5 is not a whole number of 1 or more: type for example "
     "network.width=4."),
])  # fmt: skip
def test_other_sizes_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as mistake:
        WideResNet(**settings)
    assert str(mistake.value) == sentence


def test_the_file_in_conf_says_what_the_class_does_by_itself() -> None:
    settings = OmegaConf.to_container(OmegaConf.load(CONF / "network" / "wrn.yaml"))
    assert settings.pop("_target_") == "wrn"
    assert WideResNet(**settings) == WideResNet()
