"""No training: first weights, and the BatchNorm statistics of one pass over the images."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from singleimg.learn.data.batches import InMemory
from singleimg.learn.methods.train_state import TrainState
from singleimg.learn.methods.untrained import Untrained
from tests.learn.tiny import built, epochs, levels, same, weights


def first_map(method: Untrained, images: Tensor) -> Tensor:
    """The first convolution of normalised images, by hand."""
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    convolution = method.trunk.stages[0][0]
    seen = (images - mean) / deviation
    return nn.functional.conv2d(seen, convolution.weight.detach(), stride=3, padding=3)


def test_no_weight_changes(pictures: InMemory, state: TrainState) -> None:
    method = built(Untrained, pictures)
    before = weights(method)
    said = list(epochs(method, pictures, state, 4, 2))
    assert same(before, weights(method)) and not method.optimizers
    assert [float(one["images"]) for one in said] == [4] * 8


def test_the_statistics_are_means_over_the_batches_of_one_pass(
    pictures: InMemory, state: TrainState
) -> None:
    method = built(Untrained, pictures)
    list(epochs(method, pictures, state, 4, 1))
    norm, values = method.trunk.stages[0][1], first_map(method, levels(pictures))
    assert torch.allclose(norm.running_mean, values.mean((0, 2, 3)), atol=1e-5)
    variances = torch.stack([part.var((0, 2, 3)) for part in values.split(4)])
    assert torch.allclose(norm.running_var, variances.mean(0), rtol=1e-4)


def test_every_batchnorm_gets_statistics(pictures: InMemory, state: TrainState) -> None:
    method = built(Untrained, pictures)
    list(epochs(method, pictures, state, 8, 1))
    norms = [part for part in method.trunk.modules() if isinstance(part, nn.BatchNorm2d)]
    assert [int(one.num_batches_tracked) for one in norms] == [2] * 4
    assert not any(torch.equal(one.running_var, torch.ones_like(one.running_var)) for one in norms)


def test_features_of_the_images_are_normalised_afterwards(
    pictures: InMemory, state: TrainState
) -> None:
    method = built(Untrained, pictures)
    list(epochs(method, pictures, state, 16, 1))
    stage = method.trunk.stages[0].eval()
    normal = stage[1](first_map(method, levels(pictures)))
    assert normal.mean((0, 2, 3)).abs().max() < 1e-4
    assert torch.allclose(normal.var((0, 2, 3)), torch.ones(8), atol=1e-2)


def test_images_are_seen_in_their_own_order(pictures: InMemory, state: TrainState) -> None:
    assert built(Untrained, pictures).order(3, pictures, state).tolist() == list(range(16))


def test_it_is_made_as_the_method_that_it_is_compared_with(
    pictures: InMemory, state: TrainState
) -> None:
    method = built(Untrained, pictures, norm=False, slope=0.2)
    for stage in method.trunk.stages:
        assert [type(part) for part in stage] == [nn.Conv2d, nn.LeakyReLU]
        assert stage[-1].negative_slope == 0.2
    assert len(list(epochs(method, pictures, state, 4, 1))) == 4
    bare = built(Untrained, pictures).trunk.stages[0]
    assert [type(part) for part in bare] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
