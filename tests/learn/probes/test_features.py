"""What a probe sees of a frozen trunk: the maps after each activation, pooled and flat."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from singleimg.learn.data.batches import InMemory
from singleimg.learn.networks.base import Trunk
from singleimg.learn.networks.cifar_conv4 import CifarConv4
from singleimg.learn.probes import features
from singleimg.learn.probes.features import FeatureExtractor, extract

CPU = torch.device("cpu")
NETWORK = CifarConv4([8, 16, 16, 16])
SIDES = [(8, 11), (16, 6), (16, 3), (16, 3)]  # channels and side of each map, of 32 px


class Pooled(CifarConv4):
    """As AlexNet does, pools each map: to side 2."""

    def probe_pool(self, layer: int, channels: int, side: int) -> nn.Module:
        return nn.AdaptiveMaxPool2d(2)


def trunk() -> Trunk:
    """One whose BatchNorm has seen images, so that training and evaluating it differ."""
    torch.manual_seed(0)
    made = NETWORK.trunk().train()
    made.layers(torch.rand(50, 3, 32, 32))
    return made


def pictures(count: int, size: int = 32) -> Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=random)


def test_a_layer_is_read_after_its_activation() -> None:
    known, images = trunk(), torch.rand(5, 3, 32, 32)
    values = (images - known.mean) / known.deviation
    for kept, (convolution, norm, activation) in zip(
        FeatureExtractor(known, NETWORK)(images), known.stages, strict=True
    ):
        assert isinstance(activation, nn.ReLU)
        values = norm(convolution(values))
        assert (values < 0).any()
        values = values.clamp(min=0)
        assert torch.allclose(kept, values.flatten(1), atol=1e-5)


def test_layers_come_in_order_of_depth_flat_and_as_wide_as_said() -> None:
    extractor = FeatureExtractor(trunk(), NETWORK)
    assert extractor.chosen == [0, 1, 2, 3]
    assert extractor.sizes == [channels * side**2 for channels, side in SIDES]
    assert [tuple(kept.shape) for kept in extractor(torch.rand(5, 3, 32, 32))] == [
        (5, size) for size in extractor.sizes
    ]


def test_maps_are_pooled_before_they_are_laid_flat() -> None:
    known, images = trunk().eval(), torch.rand(5, 3, 32, 32)
    extractor = FeatureExtractor(known, Pooled([8, 16, 16, 16]))
    assert extractor.sizes == [4 * channels for channels, _ in SIDES]
    for kept, shown in zip(extractor(images), known.layers(images), strict=True):
        assert torch.equal(kept, nn.functional.adaptive_max_pool2d(shown, 2).flatten(1))


def test_only_chosen_layers_are_read() -> None:
    images = torch.rand(5, 3, 32, 32)
    whole, some = FeatureExtractor(trunk(), NETWORK), FeatureExtractor(trunk(), NETWORK, [1, 3])
    assert some.chosen == [1, 3] and some.sizes == [whole.sizes[1], whole.sizes[3]]
    every, read = whole(images), some(images)
    assert len(read) == 2
    assert torch.equal(read[0], every[1]) and torch.equal(read[1], every[3])


def test_the_trunk_is_frozen_and_stays_as_it_was_even_if_it_was_training() -> None:
    known = trunk()
    assert known.training
    before = {name: value.clone() for name, value in known.state_dict().items()}
    extractor = FeatureExtractor(known, NETWORK)
    read = [extractor(torch.rand(9, 3, 32, 32)) for _ in range(3)][-1]
    assert not any(part.training for part in known.modules())
    assert not any(weight.requires_grad for weight in known.parameters())
    assert not any(kept.requires_grad for kept in read)
    assert all(torch.equal(value, before[name]) for name, value in known.state_dict().items())


def test_an_image_has_the_same_features_whatever_lies_beside_it() -> None:
    extractor, images = FeatureExtractor(trunk(), NETWORK), torch.rand(5, 3, 32, 32)
    for one, beside in zip(extractor(images[:1]), extractor(images), strict=True):
        assert torch.allclose(one[0], beside[0], atol=1e-5)


def test_the_second_view_is_that_of_the_image_flipped_left_to_right() -> None:
    extractor, pixels = FeatureExtractor(trunk(), NETWORK), pictures(6)
    kept = extract(extractor, InMemory(pixels), 32, CPU, mirrored=True)
    straight = extract(extractor, InMemory(pixels), 32, CPU)
    flipped = extract(extractor, InMemory(pixels.flip(3)), 32, CPU)
    for layer in range(4):
        assert kept[layer].shape == (2, 6, extractor.sizes[layer])
        assert straight[layer].shape == (1, 6, extractor.sizes[layer])
        assert torch.equal(kept[layer][0], straight[layer][0])
        assert torch.equal(kept[layer][1], flipped[layer][0])
        assert not torch.allclose(kept[layer][0], kept[layer][1])


def test_features_are_of_levels_from_0_to_1() -> None:
    extractor, pixels = FeatureExtractor(trunk(), NETWORK), pictures(3)
    kept = extract(extractor, InMemory(pixels), 32, CPU)
    for layer, values in enumerate(extractor(pixels.float() / 255)):
        assert torch.allclose(kept[layer][0], values, atol=1e-5)
        assert kept[layer].dtype == torch.float32


def test_of_larger_images_the_middle_is_seen() -> None:
    extractor, pixels = FeatureExtractor(trunk(), NETWORK), pictures(3, 40)
    kept = extract(extractor, InMemory(pixels), 32, CPU)
    middle = extract(extractor, InMemory(pixels[:, :, 4:36, 4:36]), 32, CPU)
    assert all(torch.equal(one, other) for one, other in zip(kept, middle, strict=True))


def test_images_keep_their_places_when_they_pass_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    extractor, images = FeatureExtractor(trunk(), NETWORK), InMemory(pictures(7))
    whole = extract(extractor, images, 32, CPU, mirrored=True)
    monkeypatch.setattr(features, "_CHUNK", 3)
    parts = extract(extractor, images, 32, CPU, mirrored=True)
    assert all(
        torch.allclose(one, other, atol=1e-5) for one, other in zip(whole, parts, strict=True)
    )
