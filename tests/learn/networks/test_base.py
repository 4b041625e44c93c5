"""What all networks share: normalising, maps layer by layer, Sobel gradients, the layers on top."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from singleimg.learn.networks.base import Layer, Sobel, Top, Trunk, activation, stage, stages

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


class Plus(nn.Module):
    """Adds a number."""

    def __init__(self, number: float) -> None:
        super().__init__()
        self.number = number

    def forward(self, values: Tensor) -> Tensor:
        """The sum."""
        return values + self.number


def small(norm: bool = True) -> Trunk:
    """Two convolutions with a pooling between."""
    layers = [Layer(3, 1, 1, norm=norm), Layer(3, 2, 1, norm=norm, pool=nn.MaxPool2d(2))]
    return Trunk(stages(layers, (4, 6), 0.0, 3), nn.MaxPool2d(2))


def kinds(module: nn.Module) -> list[str]:
    """The names of the classes of what stands in a row."""
    return [type(part).__name__ for part in module.children()]


# --- the trunk -----------------------------------------------------------------------------------


def test_a_trunk_takes_levels_and_normalises_each_channel_by_imagenets_mean_and_deviation() -> None:
    images = torch.rand(2, 3, 5, 4)
    (seen,) = Trunk([nn.Identity()]).layers(images)
    expected = (images.double().permute(0, 2, 3, 1).numpy() - MEAN) / DEVIATION
    assert np.allclose(seen.permute(0, 2, 3, 1).numpy(), expected, atol=1e-5)


def test_each_stage_continues_from_the_one_before_and_is_told_in_order() -> None:
    images = torch.rand(2, 3, 5, 4)
    zero, one, three = Trunk([Plus(0), Plus(1), Plus(2)]).layers(images)
    for values, sum_so_far in ((one, 1), (three, 3)):
        assert torch.allclose(values - zero, torch.full_like(zero, sum_so_far), atol=1e-5)


def test_features_are_the_last_map_pooled_by_the_end_and_flat() -> None:
    images = torch.rand(2, 3, 6, 6)
    trunk = Trunk([Plus(1), Plus(2)], nn.MaxPool2d(3))
    pooled = nn.functional.max_pool2d(trunk.layers(images)[-1], 3)
    assert torch.equal(trunk(images), pooled.flatten(1)) and trunk(images).shape == (2, 12)
    bare = Trunk([Plus(1)])
    assert torch.equal(bare(images), bare.layers(images)[-1].flatten(1))


def test_only_what_is_learned_is_saved() -> None:
    assert set(Trunk([Plus(0)], sobel=True).state_dict()) == set()


@pytest.mark.parametrize("training", [True, False])
def test_asking_for_shapes_changes_neither_mode_nor_statistics(training: bool) -> None:
    trunk = small().train(training)
    trunk(torch.rand(4, 3, 16, 16))
    before = {key: value.clone() for key, value in trunk.state_dict().items()}
    assert trunk.shapes(16) == [(4, 16), (6, 4)] and trunk.features(16) == 6 * 2 * 2
    assert all(module.training is training for module in trunk.modules())
    assert all(torch.equal(before[key], value) for key, value in trunk.state_dict().items())


# --- stages that stay as they are ----------------------------------------------------------------


def test_frozen_stages_keep_weights_and_statistics_in_training_too() -> None:
    trunk = small()
    trunk.freeze(1)
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    optimizer = torch.optim.SGD(trunk.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    nn.Sequential(trunk).train()  # as a method does, whose part it is
    for _ in range(2):
        trunk(torch.rand(4, 3, 16, 16)).square().sum().backward()
        optimizer.step()
    kept = {name for name, value in trunk.state_dict().items() if torch.equal(before[name], value)}
    assert kept == {name for name in before if name.startswith("stages.0.")}
    assert not trunk.stages[0].training and trunk.stages[1].training


def test_all_of_a_trunk_can_be_frozen_and_none() -> None:
    trunk = small()
    trunk.freeze(2)
    trunk.train()
    assert not any(weight.requires_grad for weight in trunk.parameters())
    trunk.freeze(0)
    trunk.train()
    assert all(weight.requires_grad for weight in trunk.parameters())
    assert all(module.training for module in trunk.modules())


# --- Sobel ---------------------------------------------------------------------------------------


def by_hand(image: np.ndarray) -> np.ndarray:
    """Both gradients of the grey levels of 3×H×W, black beyond the border: left less right, and
    top less bottom, as DeepCluster has them."""
    grey = np.pad(image.astype(float).mean(0), 1)
    height, width = image.shape[1:]
    out = np.zeros((2, height, width))
    for row in range(height):
        for column in range(width):
            near = grey[row : row + 3, column : column + 3]
            out[0, row, column] = (near[:, 0] - near[:, 2]) @ [1, 2, 1]
            out[1, row, column] = (near[0] - near[2]) @ [1, 2, 1]
    return out


def test_sobel_gives_the_gradients_across_and_down_of_a_picture_without_any_symmetry() -> None:
    images = torch.rand(2, 3, 6, 9)
    for image, seen in zip(images, Sobel()(images), strict=True):
        assert np.allclose(seen.numpy(), by_hand(image.numpy()), atol=1e-5)


def test_sobel_sees_the_normalised_image() -> None:
    images = torch.rand(1, 3, 6, 9)
    (seen,) = Trunk([nn.Identity()], sobel=True).layers(images)
    normal = (images[0].permute(1, 2, 0).double().numpy() - MEAN) / DEVIATION
    assert np.allclose(seen[0].numpy(), by_hand(normal.transpose(2, 0, 1)), atol=1e-4)


# --- stages --------------------------------------------------------------------------------------


def test_a_stage_pools_then_convolves_then_normalises_then_activates() -> None:
    pooled = stage(3, 8, Layer(3, 1, 1, pool=nn.MaxPool2d(2)), 0.0)
    assert kinds(pooled) == ["MaxPool2d", "Conv2d", "BatchNorm2d", "ReLU"]
    assert kinds(stage(3, 8, Layer(3, 1, 1), 0.0)) == ["Conv2d", "BatchNorm2d", "ReLU"]
    assert kinds(stage(3, 8, Layer(3, 1, 1, norm=False), 0.2)) == ["Conv2d", "LeakyReLU"]


@pytest.mark.parametrize("norm", [True, False])
def test_a_convolution_has_a_bias_only_where_no_batchnorm_follows(norm: bool) -> None:
    for part in small(norm).modules():
        if isinstance(part, nn.Conv2d):
            assert (part.bias is None) is norm


def test_a_convolution_is_what_its_layer_says() -> None:
    convolution = stage(4, 8, Layer(5, 3, 2, groups=2), 0.0)[0]
    shape = convolution.kernel_size, convolution.stride, convolution.padding
    assert shape == ((5, 5), (3, 3), (2, 2)) and convolution.groups == 2
    assert (convolution.in_channels, convolution.out_channels) == (4, 8)


def test_the_channels_of_each_stage_are_those_of_the_one_before() -> None:
    parts = stages([Layer(3, 1, 1)] * 3, (5, 7, 11), 0.0, 2)
    assert [(one[0].in_channels, one[0].out_channels) for one in parts] == [(2, 5), (5, 7), (7, 11)]


@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0])
def test_weights_begin_so_that_the_variance_stays_what_it_is(slope: float) -> None:
    torch.manual_seed(0)
    weight = stage(16, 64, Layer(5, 1, 2), slope)[0].weight
    expected = math.sqrt(2 / (1 + slope**2) / (16 * 25))
    assert float(weight.detach().std()) == pytest.approx(expected, rel=0.03)


def test_a_slope_makes_the_activation_leaky() -> None:
    values = torch.tensor([-2.0, 3.0])
    assert activation(0.0)(values.clone()).tolist() == [0, 3]
    assert activation(0.25)(values.clone()).tolist() == [-0.5, 3]


# --- on top --------------------------------------------------------------------------------------


def test_a_top_without_layers_gives_the_features_as_they_are() -> None:
    values = torch.randn(3, 5)
    top = Top(5, [], 0.5, True)
    assert torch.equal(top(values), values) and torch.equal(top.before_activation(values), values)
    assert top.size == 5 and not list(top.parameters())


def test_a_top_ends_in_relu_and_says_what_came_before_it() -> None:
    top = Top(5, [8, 7], 0.0, False)
    before = top.before_activation(torch.randn(32, 5))
    values = torch.randn(32, 5)
    assert before.shape == (32, top.size) == (32, 7) and before.min() < 0
    assert torch.equal(top(values), top.before_activation(values).clamp(min=0))


def test_dropout_stands_before_each_layer_and_batchnorm_after_it() -> None:
    full = Top(5, [8, 7], 0.5, True)
    row = ["Dropout", "Linear", "BatchNorm1d", "ReLU"]
    assert [*kinds(full.layers), type(full.last).__name__] == row + row
    linear = [part for part in full.modules() if isinstance(part, nn.Linear)]
    assert [(one.in_features, one.out_features, one.bias) for one in linear] == [
        (5, 8, None), (8, 7, None),
    ]  # fmt: skip
    bare = Top(5, [8, 7], 0.0, False)
    assert kinds(bare.layers) == ["Linear", "ReLU", "Linear"]
    assert all(part.bias is not None for part in bare.layers if isinstance(part, nn.Linear))


def test_dropout_is_over_when_training_is() -> None:
    top, values = Top(5, [64], 0.5, False), torch.randn(4, 5)
    assert not torch.equal(top.train()(values), top(values))
    assert torch.equal(top.eval()(values), top(values))
