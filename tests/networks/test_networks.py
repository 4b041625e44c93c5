"""The networks: shapes of every map, what probes see of them, what their settings refuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from singleimg.config import CONF
from singleimg.errors import UserError
from singleimg.networks.alexnet_bn import AlexNetBN
from singleimg.networks.base import DEVIATION, MEAN, Sobel, Top
from singleimg.networks.cifar_conv4 import CifarConv4
from singleimg.networks.generator import Generator, JointJudge, features_of, judging_trunk


def recipe(method: str) -> AlexNetBN:
    """The AlexNet of a method's own recipe."""
    return AlexNetBN(**OmegaConf.load(CONF / "method" / f"{method}.yaml").alexnet)


def probe_sizes(network: AlexNetBN | CifarConv4) -> list[int]:
    """How many values the probe of each layer sees."""
    sizes = []
    for layer, (channels, side) in enumerate(network.trunk().shapes(network.size)):
        pool = network.probe_pool(layer, channels, side)
        sizes.append(pool(torch.zeros(1, channels, side, side)).numel())
    return sizes


@pytest.mark.parametrize(
    ("method", "sizes"),
    [
        ("rotnet", [9216, 9408, 9600, 9216, 9216]),
        ("deepcluster", [9600, 9216, 9600, 9600, 9216]),
        ("bigan", [9600, 9216, 9600, 9600, 9216]),
    ],
)
def test_probes_of_alexnet_see_nine_to_ten_thousand_values(method, sizes):
    assert probe_sizes(recipe(method)) == sizes


def test_alexnet_in_the_widths_of_rotnet_and_its_fully_connected_layers():
    network = recipe("rotnet")
    trunk = network.trunk()
    assert trunk.shapes(224) == [(64, 55), (192, 27), (384, 13), (256, 13), (256, 13)]
    assert trunk.features(224) == 9216
    top = network.top(9216)
    kinds = [type(module).__name__ for module in top.layers]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d"]
    assert top.layers[0].bias is None and top.size == 4096


def test_the_encoder_of_bigan_has_two_groups_and_no_first_batchnorm():
    trunk = recipe("bigan").trunk(slope=0.2)
    convolutions = [module for module in trunk.modules() if isinstance(module, nn.Conv2d)]
    assert [one.groups for one in convolutions] == [1, 2, 1, 2, 2]
    assert [any(isinstance(m, nn.BatchNorm2d) for m in stage) for stage in trunk.stages] == [
        False, True, True, True, True,
    ]  # fmt: skip
    assert all(isinstance(stage[-1], nn.LeakyReLU) for stage in trunk.stages)


def test_conv4_has_the_kernels_strides_and_maps_of_the_paper():
    trunk = CifarConv4().trunk()
    convolutions = [module for module in trunk.modules() if isinstance(module, nn.Conv2d)]
    assert [one.kernel_size[0] for one in convolutions] == [7, 5, 3, 3]
    assert [one.stride[0] for one in convolutions] == [3, 2, 2, 1]
    assert [one.padding[0] for one in convolutions] == [3, 2, 1, 1]
    assert trunk.shapes(32) == [(32, 11), (64, 6), (128, 3), (128, 3)]


def test_as_a_critic_conv4_has_no_batchnorm_and_leaky_activations():
    trunk = CifarConv4().trunk(norm=False, slope=0.2)
    kinds = {type(module) for module in trunk.modules()}
    assert nn.BatchNorm2d not in kinds and nn.ReLU not in kinds
    assert [stage[-1].negative_slope for stage in trunk.stages] == [0.2] * 4
    assert all(stage[0].bias is not None for stage in trunk.stages)


@pytest.mark.parametrize("widths", [(32, 64, 128, 128), (64, 128, 256, 256), (96, 256, 1200, 16)])
def test_probes_of_conv4_see_at_most_9216_values(widths):
    network = CifarConv4(widths)
    sizes, shapes = probe_sizes(network), network.trunk().shapes(32)
    for size, (channels, side) in zip(sizes, shapes, strict=True):
        whole = channels * side**2
        assert size == whole if whole <= 9216 else 9216 - 2 * channels * side < size <= 9216


def test_a_trunk_normalises_by_itself_and_gives_the_maps_after_each_activation():
    trunk = CifarConv4().trunk().eval()
    images = torch.rand(2, 3, 32, 32)
    maps = trunk.layers(images)
    mean, deviation = (torch.tensor(one).view(3, 1, 1) for one in (MEAN, DEVIATION))
    first = trunk.stages[0]((images - mean) / deviation)
    assert torch.equal(maps[0], first) and torch.equal(maps[1], trunk.stages[1](first))
    assert torch.equal(trunk(images), maps[3].flatten(1))
    assert all(one.min() >= 0 for one in maps)


def test_asking_for_shapes_leaves_the_trunk_as_it_was():
    trunk = CifarConv4().trunk().train()
    before = {key: value.clone() for key, value in trunk.state_dict().items()}
    trunk.shapes(32), trunk.features(32)
    assert trunk.training
    assert all(torch.equal(before[key], value) for key, value in trunk.state_dict().items())


def test_sobel_gives_both_gradients_of_the_grey_levels():
    rows, columns = np.mgrid[:9, :9]
    grey = torch.tensor(2.0 * rows + 5.0 * columns, dtype=torch.float32)
    images = torch.stack([grey * 3, torch.zeros(9, 9), torch.zeros(9, 9)])[None]
    across, down = Sobel()(images)[0, :, 1:-1, 1:-1]
    # The kernel sums 8 times the slope, the grey level is a third of the red.
    assert torch.allclose(across, torch.full((7, 7), -8 * 5.0))
    assert torch.allclose(down, torch.full((7, 7), -8 * 2.0))
    assert CifarConv4(sobel=True).trunk().stages[0][0].in_channels == 2


def test_the_top_of_conv4_is_nothing():
    top = CifarConv4().top(1152)
    values = torch.randn(3, 1152)
    assert torch.equal(top(values), values) and top.size == 1152


def test_what_deepcluster_clusters_is_signed():
    top = Top(8, [16], 0.0, False)
    values = torch.randn(64, 8)
    assert top.before_activation(values).min() < 0
    assert torch.equal(top(values), top.before_activation(values).relu())


def test_wrong_lists_are_refused_with_a_sentence():
    with pytest.raises(UserError) as mistake:
        CifarConv4([1, 2])
    assert str(mistake.value) == (
        "network.widths=[1, 2] is not a list of 4, one a convolution: type for example "
        "network.widths=[32,64,128,128]."
    )
    with pytest.raises(UserError, match=r"network\.widths is not a list of 5, one a convolution"):
        AlexNetBN(widths=[1, 2])
    with pytest.raises(UserError, match=r"network\.size=32 is too small for network=alexnet_bn"):
        AlexNetBN(size=32)


@pytest.mark.parametrize("size", [8, 32, 64])
def test_a_generator_makes_images_of_its_size(size):
    made = Generator(size, latent=7, width=4)(torch.randn(5, 7))
    assert made.shape == (5, 3, size, size) and made.min() >= 0 and made.max() <= 1


def test_a_judge_sees_image_and_latent_together():
    trunk = judging_trunk(32, 4)
    judge = JointJudge(trunk, features_of(trunk, 32), 7, 16).eval()
    images, latents = torch.rand(2, 3, 32, 32), torch.randn(2, 7)
    value = judge(images, latents)
    assert value.shape == (2,)
    assert not torch.allclose(value, judge(images, latents + 1))
    assert not torch.allclose(value, judge(images.flip(3) * 0.5, latents))


def test_a_size_that_does_not_double_from_four_is_refused():
    with pytest.raises(UserError, match=r"method\.generated_size=48 is not 8, 16, 32, 64, 128"):
        Generator(48, 7, 4)
