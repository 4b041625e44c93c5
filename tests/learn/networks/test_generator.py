"""BiGAN's generator, and the discriminator: its trunk, and the pairs that it sees."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from singleimg.errors import UserError
from singleimg.learn.networks.generator import (
    Generator,
    JointDiscriminator,
    count_features,
    discriminator_trunk,
)

SIZES = [8, 16, 32, 64, 128, 256]


@pytest.mark.parametrize("size", SIZES)
def test_images_of_each_size_allowed_are_made_of_levels_0_to_1(size: int) -> None:
    torch.manual_seed(0)
    made = Generator(size, latent=5, width=2)(100 * torch.randn(3, 5))
    assert made.shape == (3, 3, size, size) and made.min() >= 0 and made.max() <= 1


def test_a_generator_doubles_a_4x4_map_and_halves_its_channels() -> None:
    generator = Generator(32, latent=5, width=6)
    assert generator.start.out_features == 24 * 4 * 4 and generator.start.bias is None
    doubling = [part for part in generator.layers if isinstance(part, nn.ConvTranspose2d)]
    assert [(one.in_channels, one.out_channels) for one in doubling] == [(24, 12), (12, 6), (6, 3)]
    assert all((one.kernel_size, one.stride) == ((4, 4), (2, 2)) for one in doubling)
    assert [one.bias is None for one in doubling] == [True, True, False]


def test_batchnorm_and_relu_follow_each_layer_of_a_generator_and_a_sigmoid_the_last() -> None:
    names = [type(part).__name__ for part in Generator(16, 5, 6).layers]
    assert names == [
        "BatchNorm2d", "ReLU", "ConvTranspose2d", "BatchNorm2d", "ReLU", "ConvTranspose2d",
        "Sigmoid",
    ]  # fmt: skip


def test_each_latent_makes_an_image_of_its_own() -> None:
    generator = Generator(16, 5, 4).eval()
    latents = torch.randn(2, 5)
    made = generator(latents)
    assert not torch.allclose(made[0], made[1])
    assert torch.allclose(generator(latents[1:]), made[1:], atol=1e-6)


@pytest.mark.parametrize("size", [-8, 0, 3, 4, 7, 12, 48, 100, 512])
def test_another_size_is_refused_with_a_sentence(size: int) -> None:
    for make in (lambda: Generator(size, 5, 1), lambda: discriminator_trunk(size, 1)):
        with pytest.raises(UserError) as mistake:
            make()
        assert str(mistake.value) == (
            f"method.generated_size={size} is not 8, 16, 32, 64, 128 or 256: type for example "
            "method.generated_size=64."
        )


@pytest.mark.parametrize("size", [8, 16, 64])
def test_a_discriminator_trunk_halves_to_a_4x4_map_and_doubles_its_channels(size: int) -> None:
    trunk = discriminator_trunk(size, 3)
    halvings = {8: 1, 16: 2, 64: 4}[size]
    channels = [part.out_channels for part in trunk if isinstance(part, nn.Conv2d)]
    assert channels == [3 * 2**level for level in range(halvings)]
    assert count_features(trunk, size) == channels[-1] * 4 * 4
    assert trunk(torch.rand(2, 3, size, size)).shape == (2, channels[-1] * 16)


def test_a_discriminator_trunk_is_leaky_and_has_no_batchnorm_after_its_first_layer() -> None:
    names = [type(part).__name__ for part in discriminator_trunk(16, 3)]
    assert names == ["Conv2d", "LeakyReLU", "Conv2d", "BatchNorm2d", "LeakyReLU", "Flatten"]
    assert {part.negative_slope for part in discriminator_trunk(16, 3).children()
            if isinstance(part, nn.LeakyReLU)} == {0.2}  # fmt: skip


def test_a_judge_says_one_value_of_a_pair_as_computed_by_hand() -> None:
    discriminator = JointDiscriminator(nn.Flatten(), 12, latent=4, hidden=5)
    images, latents = torch.rand(6, 3, 2, 2), torch.randn(6, 4)
    parts = [discriminator.of_image, discriminator.of_latent, discriminator.last]
    (a, b, c), (p, q, r) = ([getattr(one, name).detach() for one in parts]
                            for name in ("weight", "bias"))  # fmt: skip
    joint = images.flatten(1) @ a.T + p + latents @ b.T + q
    expected = torch.where(joint > 0, joint, 0.2 * joint) @ c[0] + r
    assert discriminator(images, latents).shape == (6,)
    assert torch.allclose(discriminator(images, latents), expected, atol=1e-5)


def test_a_judge_takes_its_trunks_features() -> None:
    trunk = discriminator_trunk(8, 2)
    discriminator = JointDiscriminator(trunk, count_features(trunk, 8), 4, 5)
    assert discriminator.trunk is trunk and discriminator(
        torch.rand(3, 3, 8, 8), torch.randn(3, 4)
    ).shape == (3,)
