"""BiGAN and MonoGAN: who learns, who is held still meanwhile, and what the critic is held to."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from singleimg.errors import UserError
from singleimg.learn.data.batches import InMemory
from singleimg.learn.methods.bigan import BiGAN, gradient_penalty
from singleimg.learn.methods.train_state import TrainState
from tests.learn.tiny import built, levels, same, updates, weights

LOSSES = ["gan", "wgan_gp"]


def made(images: InMemory, **settings: Any) -> BiGAN:
    """A small one, not trained yet."""
    small = {"generated_size": 32, "width": 8, "hidden": 32, "latent": 16, "batch_size": 8}
    return built(BiGAN, images, **{**small, **settings})


# --- the gradient penalty ------------------------------------------------------------------------


class Linear(nn.Module):
    """⟨v, image in ±1⟩ + ⟨w, latent⟩, of images given in 0 … 1."""

    def __init__(self, v: Tensor, w: Tensor) -> None:
        super().__init__()
        self.v, self.w = v, w

    def forward(self, images: Tensor, latents: Tensor) -> Tensor:
        """One value a pair."""
        return (2 * images - 1).flatten(1) @ self.v + latents @ self.w


class Square(nn.Module):
    """½ ‖image in ±1‖² + ½ ‖latent‖²: the gradient is the pair itself."""

    def forward(self, images: Tensor, latents: Tensor) -> Tensor:
        """One value a pair."""
        return ((2 * images - 1).flatten(1).square().sum(1) + latents.square().sum(1)) / 2


@pytest.mark.parametrize("scale", [0.01, 1.0, 7.0])
def test_the_penalty_of_a_linear_discriminator_is_that_of_its_weights_whatever_the_pair(
    scale: float,
) -> None:
    v, w = scale * torch.randn(12), scale * torch.randn(5)
    for _ in range(2):
        penalty = gradient_penalty(Linear(v, w), torch.rand(4, 3, 2, 2), torch.randn(4, 5))
        norm = float(torch.cat([v, w]).norm())  # with respect to images in ±1 and latents
        assert float(penalty) == pytest.approx((norm - 1) ** 2, rel=1e-4)


def test_a_discriminator_of_slope_one_pays_nothing() -> None:
    v = torch.zeros(12)
    v[3] = 1.0
    pairs = torch.rand(4, 3, 2, 2), torch.randn(4, 5)
    assert float(gradient_penalty(Linear(v, torch.zeros(5)), *pairs)) == pytest.approx(0, abs=1e-8)


def test_the_penalty_is_the_mean_over_the_pairs_of_each_ones_own() -> None:
    images, latents = torch.rand(6, 3, 2, 2), torch.randn(6, 5)
    norms = torch.cat([(2 * images - 1).flatten(1), latents], 1).norm(dim=1)
    expected = float(((norms - 1) ** 2).mean())
    penalty = gradient_penalty(Square(), images, latents)
    assert penalty.shape == () and penalty.item() == pytest.approx(expected, rel=1e-5)


def test_a_discriminator_without_any_slope_can_be_punished_too() -> None:
    w = torch.zeros(5, requires_grad=True)
    penalty = gradient_penalty(Linear(torch.zeros(12), w), torch.rand(2, 3, 2, 2), torch.rand(2, 5))
    penalty.backward()
    assert float(penalty.detach()) == pytest.approx(1, abs=1e-4) and torch.isfinite(w.grad).all()


def test_learning_from_the_penalty_alone_brings_the_slope_to_one() -> None:
    v, w = nn.Parameter(0.01 * torch.ones(12)), nn.Parameter(0.02 * torch.ones(5))
    optimizer = torch.optim.Adam([v, w], 0.05)
    for _ in range(150):
        penalty = gradient_penalty(Linear(v, w), torch.rand(2, 3, 2, 2), torch.rand(2, 5))
        optimizer.zero_grad()
        penalty.backward()
        optimizer.step()
    assert float(torch.cat([v, w]).norm().detach()) == pytest.approx(1, abs=0.02)


def test_it_is_taken_between_the_generated_and_the_real_pair(
    pictures: InMemory, state: TrainState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the same place of both: image and latent of a pair share one number of 0 … 1."""
    method, asked = made(pictures, loss="wgan_gp"), []
    monkeypatch.setattr(method, "_pairs", lambda real, _: (
        torch.ones(len(real), 16), torch.zeros_like(real), torch.zeros(len(real), 16)))  # fmt: skip

    def penalty(discriminator, images, latents):
        asked.append((images, latents))
        return torch.zeros(())

    monkeypatch.setattr("singleimg.learn.methods.bigan.gradient_penalty", penalty)
    method._update_discriminator(torch.ones(50, 3, 32, 32), torch.Generator().manual_seed(0), state)
    ((images, latents),) = asked
    mix = latents[:, 0]
    assert torch.allclose(images, mix[:, None, None, None].expand_as(images))
    assert torch.allclose(latents, mix[:, None].expand_as(latents))
    assert mix.min() >= 0 and mix.max() <= 1 and len(set(mix.tolist())) == 50


@pytest.mark.parametrize(("loss", "there"), [("gan", False), ("wgan_gp", True)])
def test_only_a_critic_is_punished(
    pictures: InMemory, state: TrainState, loss: str, there: bool
) -> None:
    (said,) = updates(made(pictures, loss=loss), pictures, state, 1)
    assert (said["penalty"] > 0) is there


def test_the_penalty_is_added_to_the_critics_loss_with_its_weight(
    pictures: InMemory, state: TrainState, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = []
    monkeypatch.setattr(state, "descend", lambda value, _: wanted.append(value.item()))
    (said,) = updates(made(pictures, loss="wgan_gp", penalty=3.0), pictures, state, 1)
    expected = [said["discriminator"] + 3 * said["penalty"], said["generator"]]
    assert wanted == pytest.approx(expected, rel=1e-5)


# --- who learns ----------------------------------------------------------------------------------


def test_with_gan_the_trunk_is_the_encoders_and_has_batchnorm(pictures: InMemory) -> None:
    method = made(pictures, loss="gan")
    assert method.encoder[0] is method.trunk and method.discriminator.trunk is not method.trunk
    assert any(isinstance(part, nn.BatchNorm2d) for part in method.trunk.modules())


def test_with_wgan_gp_the_trunk_is_the_discriminators_and_has_none(pictures: InMemory) -> None:
    method = made(pictures, loss="wgan_gp")
    assert method.discriminator.trunk is method.trunk and method.encoder[0] is not method.trunk
    assert not any("Norm" in type(part).__name__ for part in method.discriminator.modules())
    assert any(isinstance(part, nn.BatchNorm2d) for part in method.encoder.modules())


@pytest.mark.parametrize("loss", LOSSES)
def test_every_activation_of_encoder_and_discriminator_is_leaky(
    pictures: InMemory, loss: str
) -> None:
    method = made(pictures, loss=loss)
    for part in (*method.encoder.modules(), *method.discriminator.modules()):
        assert not isinstance(part, nn.ReLU)


@pytest.mark.parametrize("loss", LOSSES)
def test_each_optimiser_moves_its_own_and_together_they_move_all(
    pictures: InMemory, loss: str
) -> None:
    method = made(pictures, loss=loss)
    owned = {
        key: {id(p) for group in optimizer.param_groups for p in group["params"]}
        for key, optimizer in method.optimizers.items()
    }
    assert owned["discriminator"] == {id(p) for p in method.discriminator.parameters()}
    assert not owned["discriminator"] & owned["generator"]
    assert owned["discriminator"] | owned["generator"] == {id(p) for p in method.parameters()}


@pytest.mark.parametrize("loss", LOSSES)
def test_neither_side_changes_in_the_step_of_the_other(
    pictures: InMemory, state: TrainState, loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, moved = made(pictures, loss=loss, critic_steps=2), []
    sides = {"discriminator": [method.discriminator], "others": [method.generator, method.encoder]}

    def watched(value: Tensor, *optimizers: torch.optim.Optimizer) -> None:
        before = {name: weights(*side) for name, side in sides.items()}
        TrainState.descend(state, value, *optimizers)
        moved.append(
            {name for name, side in sides.items() if not same(before[name], weights(*side))}
        )

    monkeypatch.setattr(state, "descend", watched)
    updates(method, pictures, state, 1)
    assert moved == [{"discriminator"}, {"discriminator"}, {"others"}]
    assert all(parameter.requires_grad for parameter in method.parameters())


@pytest.mark.parametrize("loss", LOSSES)
def test_all_of_a_side_moves_in_its_step(pictures: InMemory, state: TrainState, loss: str) -> None:
    method = made(pictures, loss=loss)
    before = weights(method)
    updates(method, pictures, state, 1)
    assert not any(map(torch.equal, before, weights(method)))


def test_the_critic_sees_new_images_at_each_of_its_steps(
    pictures: InMemory, state: TrainState, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, seen = made(pictures, loss="wgan_gp", critic_steps=2), []
    assert method.images_an_update == 16
    monkeypatch.setattr(method, "reduce", lambda images: seen.append(images) or images)
    updates(method, pictures, state, 1)
    halves = levels(pictures).chunk(2)
    assert [torch.equal(one, two) for one, two in zip(seen[:2], halves, strict=True)] == [True] * 2


# --- what is wanted of whom ----------------------------------------------------------------------


@pytest.mark.parametrize("loss", LOSSES)
def test_the_discriminator_wants_real_pairs_above_made_ones_and_the_others_the_reverse(
    pictures: InMemory, loss: str
) -> None:
    method = made(pictures, loss=loss)
    low, high = torch.full((4,), -3.0), torch.full((4,), 3.0)
    assert (
        method._discriminator_loss(high, low)
        < method._discriminator_loss(low, low)
        < method._discriminator_loss(low, high)
    )
    assert (
        method._generator_loss(high, low)
        > method._generator_loss(low, low)
        > method._generator_loss(low, high)
    )
    assert torch.allclose(method._discriminator_loss(high, low), method._generator_loss(low, high))


def test_a_discriminator_that_cannot_tell_pays_two_log_2_with_gan(pictures: InMemory) -> None:
    nothing = torch.zeros(4)
    assert float(made(pictures)._discriminator_loss(nothing, nothing)) == pytest.approx(
        2 * 0.693147, rel=1e-5
    )
    assert float(made(pictures, loss="wgan_gp")._discriminator_loss(nothing + 5, nothing + 3)) == -2


def test_generated_images_are_levels_and_latents_and_encodings_lie_in_plus_minus_one(
    pictures: InMemory,
) -> None:
    method = made(pictures)
    encoded, generated, latents = method._pairs(levels(pictures), torch.Generator().manual_seed(0))
    assert generated.shape == (16, 3, 32, 32) and encoded.shape == latents.shape == (16, 16)
    assert generated.min() >= 0 and generated.max() <= 1 and encoded.abs().max() <= 1
    assert -1 <= latents.min() < -0.9 and 0.9 < latents.max() <= 1


def test_the_discriminator_sees_real_images_reduced_by_the_mean_to_the_size_of_generated_ones(
    pictures: InMemory, state: TrainState
) -> None:
    method = made(pictures, generated_size=16)
    images = levels(pictures)
    expected = images.reshape(16, 3, 16, 2, 16, 2).mean((3, 5))
    assert torch.allclose(method.reduce(images), expected, atol=1e-6)
    assert made(pictures).reduce(images) is images
    updates(method, pictures, state, 1)
    assert method.end_epoch()["reconstruction"] > 0


# --- learning ------------------------------------------------------------------------------------


def hold(method: BiGAN, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has one side make no step."""
    monkeypatch.setattr(method.optimizers[name], "step", lambda: None)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_discriminator_learns_to_separate_pairs_when_the_others_stand_still(
    pictures: InMemory, state: TrainState, loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = made(pictures, loss=loss, lr=2e-3)
    hold(method, "generator", monkeypatch)
    said = updates(method, pictures, state, 30)
    assert said[-1]["discriminator"] < (
        0.3 * said[0]["discriminator"] if loss == "gan" else said[0]["discriminator"] - 1
    )
    with torch.no_grad():
        encoded, generated, latents = method._pairs(levels(pictures), state.generator("latents"))
        real, fake = (
            method.discriminator(levels(pictures), encoded),
            method.discriminator(generated, latents),
        )
    assert real.min() > fake.max()


@pytest.mark.parametrize("loss", LOSSES)
def test_the_others_learn_to_fool_a_discriminator_that_stands_still(
    pictures: InMemory, state: TrainState, loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = made(pictures, loss=loss, lr=2e-3)
    with monkeypatch.context() as patched:
        hold(method, "generator", patched)
        updates(method, pictures, state, 10)
    hold(method, "discriminator", monkeypatch)
    said = updates(method, pictures, state, 20)
    assert said[-1]["generator"] < 0.9 * said[0]["generator"]


def test_reconstruction_is_the_mean_difference_from_the_images_last_seen(
    pictures: InMemory, state: TrainState
) -> None:
    method = made(pictures)
    updates(method, pictures, state, 2)
    said = method.end_epoch()
    assert method.training and set(said) == {BiGAN.watched}
    with torch.no_grad():
        again = method.eval().generator(method.encoder(levels(pictures)))
    expected = float((again - levels(pictures)).abs().mean())
    assert said["reconstruction"] == pytest.approx(expected, rel=1e-4)


def test_pictures_are_samples_that_stay_and_images_beside_their_reconstructions(
    pictures: InMemory,
) -> None:
    method, images = made(pictures), levels(pictures)
    before = [value.clone() for value in method.state_dict().values()]
    shown, again = method.pictures(images), method.pictures(images)
    assert shown["samples"].shape == (64, 3, 32, 32)
    assert torch.equal(shown["samples"], again["samples"])
    assert shown["reconstructions"].shape == (32, 3, 32, 32)
    assert torch.equal(shown["reconstructions"][0::2], images)
    assert method.training and same(before, list(method.state_dict().values()))


@pytest.mark.parametrize("decay_from", [0.0, 0.5])
def test_the_learning_rate_is_level_and_then_decays_to_one_percent(
    pictures: InMemory, decay_from: float
) -> None:
    method, rates = made(pictures, lr=1e-3, decay_from=decay_from), []
    for past in (-0.3, 0, 0.25, 0.5, 1):
        method.schedule(max(0.0, decay_from + past * (1 - decay_from)))
        discriminator, others = (
            method.optimizers[key].param_groups for key in ("discriminator", "generator")
        )
        assert [group["lr"] for group in discriminator] == [group["lr"] for group in others]
        rates.append(discriminator[0]["lr"])
    assert rates == pytest.approx([1e-3, 1e-3, 1e-3 * 0.01**0.25, 1e-4, 1e-5])


def test_a_learning_rate_may_stay_as_it_is(pictures: InMemory) -> None:
    method = made(pictures, lr=1e-3, decay_from=1.0)
    method.schedule(1.0)
    assert method.optimizers["discriminator"].param_groups[0]["lr"] == 1e-3


# --- refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("loss", "hint"), [
    ("hinge", ""), ("wgan-gp", " (did you mean wgan_gp?)"),
])  # fmt: skip
def test_a_loss_that_is_none_is_refused(loss: str, hint: str) -> None:
    with pytest.raises(UserError) as mistake:
        BiGAN(name="bigan", loss=loss)
    assert str(mistake.value) == (
        f"method.loss={loss} is not one of gan, wgan_gp{hint}: type for example "
        "method.loss=wgan_gp."
    )


@pytest.mark.parametrize("betas", [[0.5], [0, 1], [-0.1, 0.9]])
def test_betas_that_adam_does_not_take_are_refused(betas: list) -> None:
    with pytest.raises(UserError) as mistake:
        BiGAN(name="bigan", betas=betas)
    assert str(mistake.value) == (
        f"method.betas={betas} is not two numbers from 0 to under 1: type for example "
        "'method.betas=[0.5,0.999]'."
    )
    assert BiGAN(name="bigan", betas=[0, 0.9]).betas == (0.0, 0.9)


def test_a_critic_must_see_images_of_the_networks_size(pictures: InMemory) -> None:
    with pytest.raises(UserError) as mistake:
        made(pictures, loss="wgan_gp", generated_size=64)
    assert str(mistake.value) == (
        "method.loss=wgan_gp needs generated images of network.size=32 pixels, not of "
        "method.generated_size=64: type method.generated_size=32."
    )
    made(pictures, loss="gan", generated_size=16)


@pytest.mark.slow
def test_bigan_overfits_the_reconstructions_of_sixteen_images(
    pictures: InMemory, state: TrainState
) -> None:
    method = made(pictures, lr=2e-3, weight_decay=0.0, width=16, hidden=64)
    errors = []
    for _ in range(6):  # it swings, as such games do
        updates(method, pictures, state, 50)
        errors.append(method.end_epoch()["reconstruction"])
    assert min(errors[3:]) < 0.75 * errors[0]


def test_generated_images_are_no_larger_than_the_network_sees(pictures: InMemory) -> None:
    assert made(pictures, generated_size=None).generated_size == 32
