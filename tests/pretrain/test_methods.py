"""RotNet, DeepCluster, BiGAN, supervised, untrained: the point of each, and that it can overfit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from singleimg.errors import UserError
from singleimg.networks.cifar_conv4 import CifarConv4
from singleimg.pretrain.base import Method, stepped
from singleimg.pretrain.bigan import BiGAN, gradient_penalty
from singleimg.pretrain.deepcluster import DeepCluster
from singleimg.pretrain.images import InMemory
from singleimg.pretrain.rotnet import RotNet, rotations
from singleimg.pretrain.supervised import Supervised
from singleimg.pretrain.untrained import Untrained
from singleimg.pretrain.work import Work
from tests.pretrain.conftest import floats

NETWORK = CifarConv4([8, 16, 16, 16])


def built(kind: type[Method], images: InMemory, **settings: object) -> Method:
    """A method on the small network, from the same initial weights each time."""
    torch.manual_seed(0)
    method = kind(name="it", **settings)
    method.build(NETWORK, len(images), int(images.labels.max()) + 1)
    return method.train()


def updates(method: Method, images: InMemory, work: Work, count: int) -> dict[str, float]:
    """So many updates on all images at once."""
    places = torch.arange(len(images))
    for _ in range(count):
        said = method.update(floats(images), places, images.labels, work)
        work.step += 1
    return {key: float(value) for key, value in said.items()}


def weights(module: nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


# --- RotNet --------------------------------------------------------------------------------------


def test_rotations_are_quarter_turns_to_the_left_labelled_by_their_number(pictures):
    images = floats(pictures)[:3]
    turned, quarters = rotations(images)
    assert quarters.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    for image, quarter, source in zip(turned, quarters, [0, 1, 2] * 4, strict=True):
        expected = np.rot90(images[source].permute(1, 2, 0).numpy(), int(quarter))
        assert np.array_equal(image.permute(1, 2, 0).numpy(), expected)


def test_rotnet_overfits(pictures, work):
    method = built(RotNet, pictures, lr=0.05, batch_size=16)
    assert updates(method, pictures, work, 40)["accuracy"] > 0.95


FLIP = {"_target_": "torchvision.transforms.v2.RandomVerticalFlip", "p": 0.5}


@pytest.mark.parametrize("transforms", [
    [FLIP],
    [{"_target_": "torchvision.transforms.v2.RandomApply", "p": 0.1, "transforms": [FLIP]}],
])  # fmt: skip
def test_rotnet_refuses_vertical_flips_wherever_they_are(transforms):
    with pytest.raises(UserError, match="cannot learn from images that are flipped top to bottom"):
        RotNet(name="rotnet").check_transforms(transforms)


@pytest.mark.parametrize(("degrees", "refused"), [
    (45, True), ([-10, 60], True), (44.9, False), (0, False), (None, False),
])  # fmt: skip
def test_rotnet_refuses_rotations_from_45_degrees_on(degrees, refused):
    transforms = [{"_target_": "singleimg.transforms.RotatedCrop", "degrees": degrees}]
    if refused:
        with pytest.raises(UserError, match="cannot learn from images that are rotated by up to"):
            RotNet(name="rotnet").check_transforms(transforms)
    else:
        RotNet(name="rotnet").check_transforms(transforms)


def test_a_flip_that_never_happens_is_allowed():
    RotNet(name="rotnet").check_transforms([{**FLIP, "p": 0.0}])


# --- DeepCluster ---------------------------------------------------------------------------------


def test_deepcluster_sees_each_of_its_clusters_as_often(pictures, work):
    pytest.importorskip("faiss")
    method = built(DeepCluster, pictures, k=4, batch_size=8)
    order = method.order(0, pictures, work)
    counts = np.bincount(method.assigned[order], minlength=4)
    there = counts[counts > 0]
    assert len(order) == len(pictures) and there.max() - there.min() <= 4


def test_deepcluster_begins_its_last_layer_anew_each_epoch_and_reports_nmi(pictures, work):
    pytest.importorskip("faiss")
    method = built(DeepCluster, pictures, k=4, batch_size=8)
    method.order(0, pictures, work)
    assert method.end_epoch()["nmi"] == 0  # there is nothing to compare with yet
    first = method.head.weight.detach().clone()
    updates(method, pictures, work, 2)
    method.order(1, pictures, work)
    assert method.head.bias.abs().max() == 0
    assert not torch.equal(method.head.weight, first)
    assert 0.004 < float(method.head.weight.detach().std()) < 0.016
    assert 0 < method.end_epoch()["nmi"] <= 1


def test_deepcluster_overfits_its_clusters(pictures, work):
    pytest.importorskip("faiss")
    method = built(DeepCluster, pictures, k=4, batch_size=16)
    method.order(0, pictures, work)
    assert updates(method, pictures, work, 60)["accuracy"] > 0.9


def test_features_are_clustered_in_eval_mode_and_training_goes_on(pictures, work):
    pytest.importorskip("faiss")
    method = built(DeepCluster, pictures, k=4, batch_size=8)
    before = method.trunk.stages[0][1].running_mean.clone()
    method.order(0, pictures, work)
    assert torch.equal(method.trunk.stages[0][1].running_mean, before) and method.training


@pytest.mark.parametrize(("images", "k"), [(50, 2), (25_000, 250), (5_000_000, 10_000)])
def test_deepcluster_makes_a_cluster_of_a_hundred_images(images, k):
    assert DeepCluster(name="deepcluster").clusters(images) == k


def test_more_clusters_than_images_are_refused():
    with pytest.raises(UserError) as mistake:
        DeepCluster(name="deepcluster", k=500, batch_size=8).check_count(400)
    assert str(mistake.value) == (
        "method.k=500 is not a number of clusters from 2 to 400, the number of images: type for "
        "example method.k=4, or a larger num_imgs."
    )


def test_the_clusters_travel_with_a_checkpoint(pictures, work):
    pytest.importorskip("faiss")
    first, second = (built(DeepCluster, pictures, k=4, batch_size=8) for _ in range(2))
    first.order(0, pictures, work)
    second.load_state_dict(first.state_dict())
    assert np.array_equal(first.assigned, second.assigned) and first.facts == second.facts


# --- BiGAN ---------------------------------------------------------------------------------------

GAN = {"generated_size": 32, "width": 8, "hidden": 32, "latent": 16, "batch_size": 8}


class Linear(nn.Module):
    """A judge whose gradient is known: ``a · Σ image + b · Σ latent``."""

    def forward(self, images: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        return 0.5 * images.flatten(1).sum(1) + 2.0 * latents.sum(1)


def test_the_gradient_penalty_of_a_linear_judge_is_as_computed_by_hand():
    penalty = gradient_penalty(Linear(), torch.rand(4, 3, 2, 2), torch.rand(4, 5))
    # Of images in ±1 the gradient is half of that of images in 0 … 1.
    norm = (12 * 0.25**2 + 5 * 2.0**2) ** 0.5
    assert float(penalty) == pytest.approx((norm - 1) ** 2, rel=1e-5)


def test_the_gradient_penalty_can_be_differentiated(pictures):
    method = built(BiGAN, pictures, loss="wgan_gp", **GAN)
    penalty = gradient_penalty(method.judge, floats(pictures), torch.rand(16, 16))
    penalty.backward()
    assert all(stage[0].weight.grad.abs().sum() > 0 for stage in method.trunk.stages)


def test_a_critic_is_what_monogan_learns_and_an_encoder_what_bigan_does(pictures):
    critic, bigan = (built(BiGAN, pictures, loss=loss, **GAN) for loss in ("wgan_gp", "gan"))
    assert critic.judge.trunk is critic.trunk and critic.encoder[0] is not critic.trunk
    assert not any(isinstance(m, nn.BatchNorm2d) for m in critic.judge.modules())
    assert bigan.encoder[0] is bigan.trunk and bigan.judge.trunk is not bigan.trunk


@pytest.mark.parametrize("loss", ["gan", "wgan_gp"])
def test_each_player_moves_only_itself(pictures, work, loss):
    method = built(BiGAN, pictures, loss=loss, **GAN)
    moved = {}

    def descend(value: torch.Tensor, *optimizers: torch.optim.Optimizer) -> None:
        before = [weights(module) for module in (method.judge, method.generator, method.encoder)]
        Work.descend(work, value, *optimizers)
        after = [weights(module) for module in (method.judge, method.generator, method.encoder)]
        for name, one, two in zip(("judge", "generator", "encoder"), before, after, strict=True):
            if not all(map(torch.equal, one, two)):
                moved.setdefault(len(moved_by), set()).add(name)
        moved_by.append(1)

    moved_by: list[int] = []
    work.descend = descend
    updates(method, pictures, work, 1)
    assert moved == {0: {"judge"}, 1: {"generator", "encoder"}}
    assert all(parameter.requires_grad for parameter in method.parameters())


def test_the_judge_learns_to_tell_and_the_others_to_fool_it(pictures, work):
    method = built(BiGAN, pictures, loss="gan", lr=2e-3, **GAN)
    for optimizer in method.optimizers.values():
        optimizer.step = (lambda: None) if optimizer is method.optimizers["generator"] \
            else optimizer.step  # fmt: skip
    first = updates(method, pictures, work, 1)["judge"]
    assert updates(method, pictures, work, 30)["judge"] < 0.3 * first


def test_bigan_overfits_its_reconstructions(pictures, work):
    method = built(BiGAN, pictures, lr=2e-3, weight_decay=0.0, **{**GAN, "width": 16, "hidden": 64})
    errors = []
    for _ in range(6):  # it swings, as such games do
        updates(method, pictures, work, 50)
        errors.append(method.end_epoch()["reconstruction"])
    assert min(errors[3:]) < 0.75 * errors[0]


def test_the_critic_sees_new_images_at_each_of_its_steps(pictures, work):
    method = built(BiGAN, pictures, loss="wgan_gp", critic_steps=2, **GAN)
    assert method.images_an_update == 16
    seen = []
    method.reduced = lambda images: seen.append(images.clone()) or images
    updates(method, pictures, work, 1)
    images = floats(pictures)
    assert torch.equal(seen[0], images[:8]) and torch.equal(seen[1], images[8:])


def test_pictures_are_samples_and_pairs_and_leave_training_as_it_was(pictures):
    method = built(BiGAN, pictures, **GAN)
    shown = method.pictures(floats(pictures))
    assert shown["samples"].shape == (64, 3, 32, 32)
    assert torch.equal(shown["reconstructions"][0::2], floats(pictures))
    assert torch.equal(shown["samples"], method.pictures(floats(pictures))["samples"])
    assert method.training


def test_the_learning_rate_of_bigan_falls_to_one_percent_in_the_second_half(pictures):
    method = built(BiGAN, pictures, lr=1e-3, **GAN)
    rates = []
    for fraction in (0, 0.5, 0.75, 1.0):
        method.schedule(fraction)
        rates.append(method.optimizers["judge"].param_groups[0]["lr"])
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5])


def test_wrong_settings_of_bigan_are_refused(pictures):
    with pytest.raises(UserError) as mistake:
        BiGAN(name="bigan", loss="wgan")
    assert str(mistake.value).startswith("method.loss=wgan is not one of gan, wgan_gp (did you")
    with pytest.raises(UserError, match=r"type method\.generated_size=32"):
        built(BiGAN, pictures, loss="wgan_gp", **{**GAN, "generated_size": 64})


# --- with labels, and without training -----------------------------------------------------------


def test_supervised_overfits(pictures, work):
    method = built(Supervised, pictures, lr=0.05)
    assert updates(method, pictures, work, 40)["accuracy"] > 0.95


def test_learning_rates_fall_at_fractions_of_the_training():
    at = [stepped(0.1, [0.3, 0.6], 0.1, fraction) for fraction in (0, 0.29, 0.3, 0.7, 1)]
    assert at == pytest.approx([0.1, 0.1, 0.01, 0.001, 0.001])


def test_untrained_has_the_first_weights_and_the_statistics_of_one_pass(pictures, work):
    method = built(Untrained, pictures)
    before = weights(method)
    for half in (slice(0, 8), slice(8, 16)):
        method.update(floats(pictures)[half], torch.arange(8), pictures.labels[half], work)
    assert all(map(torch.equal, before, weights(method)))
    first = method.trunk.stages[0]
    with torch.no_grad():
        images = (floats(pictures) - method.trunk.mean) / method.trunk.deviation
        expected = first[0](images).mean((0, 2, 3))
    assert torch.allclose(first[1].running_mean, expected, atol=1e-5)


def test_methods_of_one_seed_begin_with_the_same_trunk(pictures):
    trunks = [built(kind, pictures).trunk for kind in (RotNet, Supervised, Untrained)]
    for other in trunks[1:]:
        assert all(map(torch.equal, weights(trunks[0]), weights(other)))


@pytest.mark.parametrize(("settings", "sentence"), [
    ({"epochs": -1}, "method.epochs=-1 is not a whole number of 0 or more: type for example "
     "method.epochs=1."),
    ({"batch_size": 2.5}, "method.batch_size=2.5 is not a whole number of 2 or more: type for "
     "example method.batch_size=2."),
    ({"lr": 0}, "method.lr=0 is not a number over 0: type for example method.lr=0.01."),
    ({"hflip": 2}, "method.hflip=2 is not a probability: type 0 … 1."),
    ({"crop": "resize"}, "method.crop=resize is not one of centre, placed, padded, resized (did "
     "you mean resized?): type for example method.crop=padded."),
])  # fmt: skip
def test_settings_out_of_range_are_refused(settings, sentence):
    with pytest.raises(UserError) as mistake:
        Supervised(name="supervised", **settings)
    assert str(mistake.value) == sentence
