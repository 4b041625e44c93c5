"""The four convolutions of the paper's CIFAR experiments, and what the probes of them see."""

from __future__ import annotations

from math import isqrt

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from singleimg.config.location import CONF
from singleimg.errors import UserError
from singleimg.learn.networks.cifar_conv4 import CifarConv4


def convolutions(network: CifarConv4) -> list[nn.Conv2d]:
    """Those of a new trunk."""
    return [part for part in network.trunk().modules() if isinstance(part, nn.Conv2d)]


def test_its_kernels_strides_and_paddings_are_those_of_the_paper() -> None:
    found = [(c.kernel_size[0], c.stride[0], c.padding[0]) for c in convolutions(CifarConv4())]
    assert found == [(7, 3, 3), (5, 2, 2), (3, 2, 1), (3, 1, 1)]


@pytest.mark.parametrize("widths", [(32, 64, 128, 128), (64, 128, 256, 256)])
def test_its_maps_have_the_widths_given_and_sides_11_6_3_3_at_32_pixels(widths: tuple) -> None:
    trunk = CifarConv4(widths).trunk()
    assert trunk.shapes(32) == list(zip(widths, (11, 6, 3, 3), strict=True))
    assert trunk.features(32) == widths[-1] * 3 * 3


def test_nothing_pools_its_maps() -> None:
    assert not any("Pool" in type(part).__name__ for part in CifarConv4().trunk().modules())


def test_each_convolution_has_batchnorm_and_relu() -> None:
    for stage in CifarConv4().trunk().stages:
        assert [type(part) for part in stage] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
        assert stage[0].bias is None


def test_as_a_critic_it_has_no_batchnorm_and_leaky_activations() -> None:
    for stage in CifarConv4().trunk(norm=False, slope=0.2).stages:
        assert [type(part) for part in stage] == [nn.Conv2d, nn.LeakyReLU]
        assert stage[-1].negative_slope == 0.2 and stage[0].bias is not None


def test_a_map_of_at_most_9216_values_is_probed_as_it_is() -> None:
    network = CifarConv4()
    for channels, side in ((9216, 1), (64, 12), (1024, 3), (32, 11)):
        values = torch.rand(1, channels, side, side)
        assert torch.equal(network.probe_pool(0, channels, side)(values), values)


@pytest.mark.parametrize(("channels", "side"), [(64, 13), (256, 11), (1025, 3), (96, 32)])
def test_a_larger_map_is_reduced_to_as_many_values_as_there_may_be(
    channels: int, side: int
) -> None:
    values = torch.rand(1, channels, side, side)
    reduced = CifarConv4().probe_pool(0, channels, side)(values)
    assert reduced.shape[2] == isqrt(9216 // channels) < side
    assert reduced.numel() <= 9216 < channels * (reduced.shape[2] + 1) ** 2
    assert torch.equal(reduced.amax((2, 3)), values.amax((2, 3)))  # by the maximum


def test_with_sobel_it_sees_two_channels() -> None:
    assert CifarConv4(sobel=True).trunk().stages[0][0].in_channels == 2
    assert CifarConv4(sobel=True).trunk()(torch.rand(1, 3, 32, 32)).shape == (1, 1152)


def test_a_methods_last_layer_stands_directly_on_it() -> None:
    top, values = CifarConv4().top(7), torch.randn(3, 7)
    assert torch.equal(top(values), values) and top.size == 7


def test_its_yaml_says_its_defaults() -> None:
    settings = OmegaConf.to_container(OmegaConf.load(CONF / "network" / "cifar_conv4.yaml"))
    settings.pop("_target_")
    settings["widths"] = tuple(settings["widths"])
    assert CifarConv4(**settings) == CifarConv4()


@pytest.mark.parametrize("widths", [[], [1, 2], [32, 64, 128, 128, 128]])
def test_a_wrong_number_of_widths_is_refused_with_a_sentence(widths: list[int]) -> None:
    with pytest.raises(UserError) as mistake:
        CifarConv4(widths)
    assert str(mistake.value) == (
        f"network.widths={widths} is not a list of 4, one for each convolution: type for example "
        "'network.widths=[32,64,128,128]'."
    )
