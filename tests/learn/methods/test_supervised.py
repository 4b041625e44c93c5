"""Training with labels, and what all methods have in common: settings, order, learning rates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from singleimg.errors import UserError
from singleimg.learn.data.batches import InMemory
from singleimg.learn.methods.base import Method, accuracy, cosine, step_decay
from singleimg.learn.methods.bigan import BiGAN
from singleimg.learn.methods.deepcluster import DeepCluster
from singleimg.learn.methods.rotnet import RotNet
from singleimg.learn.methods.supervised import Supervised
from singleimg.learn.methods.train_state import TrainState
from singleimg.learn.methods.untrained import Untrained
from tests.learn.tiny import NETWORK, built, levels, new_state, same, seeded, updates, weights

METHODS = [RotNet, DeepCluster, BiGAN, Supervised, Untrained]


# --- training ------------------------------------------------------------------------------------


def test_supervised_overfits_sixteen_images(pictures: InMemory, state: TrainState) -> None:
    said = updates(built(Supervised, pictures, lr=0.05), pictures, state, 40)
    assert said[-1]["accuracy"] > 0.95 and said[-1]["loss"] < 0.2 * said[0]["loss"]
    assert Supervised.needs_labels


def test_an_update_lowers_the_loss_of_its_own_labels(pictures: InMemory, state: TrainState) -> None:
    method = built(Supervised, pictures, lr=0.01)
    before = nn.functional.cross_entropy(method(levels(pictures)), pictures.labels)
    (said,) = updates(method, pictures, state, 1)
    after = nn.functional.cross_entropy(method(levels(pictures)), pictures.labels)
    assert said["loss"] == pytest.approx(float(before.detach()), rel=1e-5) and after < before


def test_every_weight_moves(pictures: InMemory, state: TrainState) -> None:
    method = built(Supervised, pictures)
    before = weights(method)
    updates(method, pictures, state, 1)
    assert not any(map(torch.equal, before, weights(method)))


def test_without_momentum_it_trains_too(pictures: InMemory, state: TrainState) -> None:
    """``momentum: 0.9  # of SGD with Nesterov, 0 … 1``, says the YAML."""
    said = updates(built(Supervised, pictures, momentum=0.0), pictures, state, 5)
    assert said[-1]["loss"] < said[0]["loss"]


def test_its_learning_rate_falls_at_the_milestones(pictures: InMemory) -> None:
    method, rates = built(Supervised, pictures, lr=0.1, milestones=[0.3, 0.6], gamma=0.5), []
    for fraction in (0, 0.29, 0.3, 0.59, 0.6, 1):
        method.schedule(fraction)
        rates.append(method.optimizers["all"].param_groups[0]["lr"])
    assert rates == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025, 0.025])
    assert step_decay(0.1, [], 0.5, 1.0) == 0.1


def test_without_milestones_its_learning_rate_falls_by_half_a_cosine(pictures: InMemory) -> None:
    method, rates = built(Supervised, pictures, lr=0.1, milestones=None), []
    for fraction in (0, 1 / 3, 0.5, 1):
        method.schedule(fraction)
        rates.append(method.optimizers["all"].param_groups[0]["lr"])
    assert rates == pytest.approx([0.1, 0.075, 0.05, 0], abs=1e-12)
    assert cosine(0.1, 0.1, warmup=0.2) == pytest.approx(0.05)
    assert cosine(0.1, 1, warmup=1) == pytest.approx(0.1)  # it only rises


def test_accuracy_is_the_share_of_rows_whose_largest_value_is_their_labels() -> None:
    scores = torch.tensor([[1.0, 2, 0], [3, 1, 2], [0, 0, 1], [5, 4, 3]])
    assert float(accuracy(scores, torch.tensor([1, 2, 2, 0]))) == 0.75


# --- first stages from elsewhere, frozen ---------------------------------------------------------


def test_it_begins_with_the_trunk_that_it_is_given(pictures: InMemory) -> None:
    other = NETWORK.trunk()
    other(levels(pictures))  # its BatchNorm has seen these
    method = built(Supervised, pictures, init="/a/training")
    assert method.takes == ("init",) and not same(weights(other), weights(method.trunk))
    method.begin({"init": other})
    assert all(torch.equal(value, method.trunk.state_dict()[name])
               for name, value in other.state_dict().items())  # fmt: skip
    before = weights(method)
    method.begin({})
    assert same(before, weights(method))


@pytest.mark.parametrize("depth", [0, 2, 4])
def test_frozen_stages_stay_while_all_the_others_learn(
    pictures: InMemory, state: TrainState, depth: int
) -> None:
    method = built(Supervised, pictures, freeze=depth)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    updates(method, pictures, state, 2)
    moved = {name for name, value in method.state_dict().items()
             if not torch.equal(before[name], value)}  # fmt: skip
    kept = tuple(f"trunk.stages.{stage}." for stage in range(depth))
    assert moved == {name for name in before if not name.startswith(kept or "none")}
    assert [stage.training for stage in method.trunk.stages] == [k >= depth for k in range(4)]


@pytest.mark.parametrize(("freeze", "sentence"), [
    (5, "method.freeze=5 is not a number of stages from 0 to 4, all those of network=cifar_conv4: "
     "type for example method.freeze=2."),
    (-1, "method.freeze=-1 is not a whole number of 0 or more: type for example method.freeze=1."),
    (1.0, "method.freeze=1.0 is not a whole number of 0 or more: type for example "
     "method.freeze=1."),
])  # fmt: skip
def test_more_stages_than_there_are_cannot_be_frozen(
    pictures: InMemory, freeze: Any, sentence: str
) -> None:
    with pytest.raises(UserError) as mistake:
        built(Supervised, pictures, freeze=freeze)
    assert str(mistake.value) == sentence


def test_rotnet_learns_all_of_its_trunk() -> None:
    with pytest.raises(TypeError):
        RotNet(name="it", freeze=1)
    with pytest.raises(TypeError):
        RotNet(name="it", init="/a/training")


# --- what all methods have in common -------------------------------------------------------------


@pytest.mark.parametrize("kind", [RotNet, Supervised, Untrained, DeepCluster])
def test_one_seed_gives_all_methods_the_same_first_trunk(
    pictures: InMemory, kind: type[Method]
) -> None:
    trunk = built(kind, pictures).trunk
    assert same(weights(trunk), weights(built(Supervised, pictures).trunk))


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own(pictures: InMemory) -> None:
    method = built(Supervised, pictures)

    def order(epoch: int, seed: int = 0, step: int = 0) -> list[int]:
        state = new_state(seed)
        state.step = step
        return method.order(epoch, pictures, state).tolist()

    assert sorted(order(0)) == list(range(16)) != order(0)
    assert order(0) == order(0, step=9) and order(0) != order(1) and order(0) != order(0, seed=1)


def test_a_batch_is_cut_and_mirrored_as_the_settings_say(pictures: InMemory) -> None:
    images = levels(pictures)
    plain, mirrored = (Supervised(name="it", hflip=p).augment(images, 20, seeded()) for p in (0, 1))
    assert torch.equal(plain, images[:, :, 6:26, 6:26]) and torch.equal(mirrored, plain.flip(3))
    padded = Supervised(name="it", crop="padded").augment(images, 32, seeded())
    assert not torch.equal(padded, images) and padded.shape == images.shape


@pytest.mark.parametrize(("kind", "settings", "sentence"), [
    (Supervised, {}, "method.batch_size=128 is too large for 127 images: type "
     "method.batch_size=127 or less, or a larger num_imgs."),
    (BiGAN, {"critic_steps": 5, "batch_size": 30}, "method.batch_size=30 is too large for 127 "
     "images, of which an update takes 5 times as many: type method.batch_size=25 or less, or a "
     "larger num_imgs."),
])  # fmt: skip
def test_too_few_images_for_an_update_are_refused(
    kind: type[Method], settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError) as mistake:
        kind(name="it", **settings).check_count(127)
    assert str(mistake.value) == sentence
    kind(name="it", **settings).check_count(150)


@pytest.mark.parametrize("kind", METHODS)
@pytest.mark.parametrize(("settings", "sentence"), [
    ({"epochs": -1}, "method.epochs=-1 is not a whole number of 0 or more: type for example "
     "method.epochs=1."),
    ({"epochs": True}, "method.epochs=True is not a whole number of 0 or more: type for example "
     "method.epochs=1."),
    ({"updates": 1.5}, "method.updates=1.5 is not a whole number of 0 or more: type for example "
     "method.updates=1."),
    ({"batch_size": 1}, "method.batch_size=1 is not a whole number of 2 or more: type for example "
     "method.batch_size=2."),
    ({"hflip": 1.5}, "method.hflip=1.5 is not a probability: type a number from 0 to 1."),
    ({"crop": "resize"}, "method.crop=resize is not one of centre, placed, padded, resized (did "
     "you mean resized?): type for example method.crop=padded."),
])  # fmt: skip
def test_settings_out_of_range_are_refused(
    kind: type[Method], settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError) as mistake:
        kind(name="it", **settings)
    assert str(mistake.value) == sentence


def test_no_update_of_two_processors_has_the_order_of_one_alone(pictures: InMemory) -> None:
    """All see one order, of which each takes its share: the processors must agree on it."""
    orders = [built(Supervised, pictures).order(2, pictures, new_state(rank=rank, world_size=2))
              for rank in (0, 1)]  # fmt: skip
    assert np.array_equal(*orders)
