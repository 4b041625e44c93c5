"""AlexNet in the widths of each method's own recipe, and what the probes of its layers see."""

from __future__ import annotations

import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from singleimg.config.location import CONF
from singleimg.errors import UserError
from singleimg.learn.networks.alexnet_bn import AlexNetBN

# Those that have a recipe of their own, and do not take another method's.
METHODS = sorted(
    file.stem for file in (CONF / "method").glob("*.yaml") if "alexnet" in OmegaConf.load(file)
)
PAPER = {  # values that the probe of each layer sees
    (96, 256, 384, 384, 256): [9600, 9216, 9600, 9600, 9216],
    (64, 192, 384, 256, 256): [9216, 9408, 9600, 9216, 9216],
}


def recipe(method: str) -> DictConfig:
    """What a method's YAML has ``network=alexnet_bn`` made with."""
    return OmegaConf.load(CONF / "method" / f"{method}.yaml").alexnet


def convolutions(network: AlexNetBN) -> list[nn.Conv2d]:
    """Those of a new trunk."""
    return [part for part in network.trunk().modules() if isinstance(part, nn.Conv2d)]


def normed(network: AlexNetBN, norm: bool = True) -> list[bool]:
    """Which stages of a new trunk have a BatchNorm."""
    stages = network.trunk(norm=norm).stages
    return [any(isinstance(part, nn.BatchNorm2d) for part in one) for one in stages]


@pytest.mark.parametrize("method", METHODS)
def test_the_probe_of_each_layer_sees_as_many_values_as_the_papers(method: str) -> None:
    network = AlexNetBN(**recipe(method))
    sizes = []
    for layer, (channels, side) in enumerate(network.trunk().shapes(224)):
        values = torch.zeros(1, channels, side, side)
        sizes.append(network.probe_pool(layer, channels, side)(values).numel())
    assert sizes == PAPER[tuple(network.widths)]
    assert all(9000 <= size <= 10_000 for size in sizes)


def test_rotnet_alone_has_other_widths_than_the_rest() -> None:
    assert {method for method in METHODS if recipe(method).widths[0] == 64} == {"rotnet"}


@pytest.mark.parametrize("method", METHODS)
def test_the_network_takes_every_value_of_the_methods_recipe(method: str) -> None:
    network = OmegaConf.load(CONF / "network" / "alexnet_bn.yaml")
    both = OmegaConf.create({"method": {"alexnet": recipe(method)}, "network": network})
    settings = OmegaConf.to_container(both, resolve=True)["network"]
    settings.pop("_target_")
    assert AlexNetBN(**settings) == AlexNetBN(**OmegaConf.to_container(recipe(method)))


def test_its_kernels_strides_and_paddings_are_alexnets() -> None:
    found = [(c.kernel_size[0], c.stride[0], c.padding[0]) for c in convolutions(AlexNetBN())]
    assert found == [(11, 4, 2), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1)]


def test_maps_are_pooled_before_the_second_and_third_convolution_and_at_the_end() -> None:
    trunk = AlexNetBN().trunk()
    assert [isinstance(one[0], nn.MaxPool2d) for one in trunk.stages] == [
        False, True, True, False, False,
    ]  # fmt: skip
    for pool in (trunk.stages[1][0], trunk.stages[2][0], trunk.end):
        assert (pool.kernel_size, pool.stride, pool.padding) == (3, 2, 0)
    assert trunk.shapes(224) == [(96, 55), (256, 27), (384, 13), (384, 13), (256, 13)]
    assert trunk.features(224) == 256 * 6 * 6


def test_a_probe_pools_to_a_side_or_by_kernel_stride_and_padding() -> None:
    rotnet, bigan = AlexNetBN(**recipe("rotnet")), AlexNetBN(**recipe("bigan"))
    assert rotnet.probe_pool(1, 192, 27)(torch.zeros(1, 1, 27, 27)).shape[2:] == (7, 7)
    pool = bigan.probe_pool(0, 96, 55)
    assert (pool.kernel_size, pool.stride, pool.padding) == (6, 6, 3)


def test_groups_are_of_the_second_fourth_and_fifth_convolution() -> None:
    assert [one.groups for one in convolutions(AlexNetBN(groups=2))] == [1, 2, 1, 2, 2]
    assert [one.groups for one in convolutions(AlexNetBN())] == [1] * 5


def test_batchnorm_follows_each_convolution_the_first_if_the_recipe_has_it_or_none() -> None:
    assert normed(AlexNetBN()) == [True] * 5
    assert normed(AlexNetBN(first_norm=False)) == [False] + [True] * 4
    assert normed(AlexNetBN(), norm=False) == normed(AlexNetBN(first_norm=False), False)
    assert normed(AlexNetBN(), norm=False) == [False] * 5


def test_a_slope_makes_every_activation_leaky() -> None:
    stages = AlexNetBN().trunk(slope=0.2).stages
    assert [one[-1].negative_slope for one in stages] == [0.2] * 5
    assert {type(one[-1]) for one in AlexNetBN().trunk().stages} == {nn.ReLU}


def test_with_sobel_the_first_convolution_sees_two_channels() -> None:
    trunk = AlexNetBN(sobel=True).trunk()
    assert trunk.stages[0][0].in_channels == 2
    assert AlexNetBN().trunk().stages[0][0].in_channels == 3
    assert trunk.features(64) == 256  # and sees them indeed


@pytest.mark.parametrize(("method", "expected"), [
    ("rotnet", ["Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d"]),
    ("deepcluster", ["Dropout", "Linear", "ReLU", "Dropout", "Linear"]),
    ("supervised", ["Dropout", "Linear", "ReLU", "Dropout", "Linear"]),
    ("bigan", []),
])  # fmt: skip
def test_its_fully_connected_layers_are_those_of_the_recipe(
    method: str, expected: list[str]
) -> None:
    top = AlexNetBN(**recipe(method)).top(16)
    assert [type(part).__name__ for part in top.layers] == expected
    assert top.size == (4096 if expected else 16)


@pytest.mark.parametrize(("settings", "sentence"), [
    ({"widths": [1, 2]},
     "network.widths=[1, 2] is not a list of 5, one for each "
     "convolution: type as many."),
    ({"widths": [8] * 6},
     "network.widths=[8, 8, 8, 8, 8, 8] is not a list of 5, one for each "
     "convolution: type as many."),
    ({"pools": [3] * 4},
     "network.pools=[3, 3, 3, 3] is not a list of 5, one for each "
     "convolution: type as many."),
    ({"size": 63}, "network.size=63 is too small for network=alexnet_bn, which halves its maps "
     "five times: type network.size=224, or network=cifar_conv4 for 32."),
])  # fmt: skip
def test_wrong_settings_are_refused_with_a_sentence(settings: dict, sentence: str) -> None:
    with pytest.raises(UserError) as mistake:
        AlexNetBN(**settings)
    assert str(mistake.value) == sentence


def test_the_smallest_size_allowed_still_gives_a_feature_of_each_channel() -> None:
    assert AlexNetBN(size=64).trunk().features(64) == 256
