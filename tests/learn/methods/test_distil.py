"""Distillation: what the teacher says is learned, of mixed images, and of labels nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from singleimg.errors import UserError
from singleimg.learn.data.batches import InMemory
from singleimg.learn.methods.distil import Distil, divergence
from singleimg.learn.methods.train_state import TrainState
from tests.learn.tiny import built, levels, new_state, same, seeded, updates, weights


class Says(nn.Module):
    """A teacher of eight classes that knows images by their colour; it keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.shown: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.shown.append(images)
        colour = self.norm(images)[:, :, 10:].mean((2, 3))
        return torch.cat([10 * colour, 5 - 10 * colour, colour[:, :2] - 1], 1)


def taught(images: InMemory, **settings: Any) -> tuple[Distil, Says]:
    """A student on the small network, and its teacher."""
    method, teacher = built(Distil, images, teacher="sha256:0", **settings), Says()
    method.learn_from(teacher)
    return method, teacher


PLAIN = {"cutmix": 0.0}


def test_it_learns_what_its_teacher_says(pictures: InMemory, state: TrainState) -> None:
    method, teacher = taught(pictures, lr=5e-3, temperature=2.0, **PLAIN)
    said = updates(method, pictures, state, 60)
    assert said[-1]["loss"] < 0.1 * said[0]["loss"] and said[-1]["agreement"] > 0.9
    method.eval()
    images = levels(pictures)
    assert (method(images).argmax(1) == teacher(images).argmax(1)).float().mean() > 0.9


def test_it_looks_at_no_label(pictures: InMemory) -> None:
    assert not Distil.needs_labels
    trained = []
    for labels in (pictures.labels, pictures.labels.flip(0)):
        method, _ = taught(pictures)
        updates(method, InMemory(pictures.pixels, labels), new_state(), 2)
        trained.append(weights(method))
    assert same(*trained)


def test_its_loss_is_the_divergence_at_a_temperature_times_its_square() -> None:
    scores, right = torch.tensor([[1.0, 2.0, 0.5]]), torch.tensor([[3.0, -1.0, 0.0]])
    p, q = ((one / 4).softmax(1) for one in (right, scores))
    expected = 16 * (p * (p / q).log()).sum()
    assert float(divergence(scores, right, 4.0)) == pytest.approx(float(expected), rel=1e-5)
    assert float(divergence(right + 7, right, 4.0)) == pytest.approx(0, abs=1e-5)
    twice = divergence(torch.cat([scores] * 2), torch.cat([right] * 2), 4.0)
    assert float(twice) == pytest.approx(float(expected), rel=1e-5)  # the mean of a batch


def test_its_teacher_learns_nothing_keeps_its_statistics_and_is_in_no_checkpoint(
    pictures: InMemory, state: TrainState
) -> None:
    method, teacher = taught(pictures)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    method.train()
    updates(method, pictures, state, 2)
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())
    assert not teacher.training and not any(p.requires_grad for p in teacher.parameters())
    assert {name.partition(".")[0] for name in method.state_dict()} == {"trunk", "head"}


def test_both_see_the_same_mixed_images(pictures: InMemory, state: TrainState) -> None:
    method, teacher = taught(pictures, cutmix=1.0)
    seen: list[Tensor] = []
    method.trunk.register_forward_pre_hook(lambda trunk, inputs: seen.append(inputs[0].clone()))
    updates(method, pictures, state, 1)
    assert torch.equal(seen[0], teacher.shown[0])
    assert not torch.equal(seen[0], levels(pictures))


def shares(count: int = 400, side: int = 32, seed: int = 0, **settings: Any) -> Tensor:
    method = Distil(name="it", teacher="", **settings)
    return method.shares(count, side, seeded(seed), torch.device("cpu"))


def test_cutmix_lays_a_square_of_another_image_anywhere() -> None:
    found = shares(cutmix=1.0, alpha=1.0)
    assert found.shape == (400, 1, 32, 32) and set(found.unique().tolist()) == {0.0, 1.0}
    for one in found[:, 0]:
        rows, columns = one.amax(1).sum(), one.amax(0).sum()
        assert rows == columns and one.sum() == rows * columns
    assert abs(float(found.mean()) - 0.5) < 0.05  # of Beta(1, 1)
    places = found[:, 0].mean(0)
    assert torch.allclose(places, places.flip(0), atol=0.15) and places.min() > 0.05


def test_mixup_takes_the_same_share_of_every_pixel() -> None:
    found = shares(cutmix=0.0, mixup=1.0, alpha=0.2)
    assert torch.equal(found.amin((1, 2, 3)), found.amax((1, 2, 3)))
    assert found.min() >= 0 and found.max() <= 1
    middle = ((found[:, 0, 0, 0] > 0.2) & (found[:, 0, 0, 0] < 0.8)).float().mean()
    assert middle < 0.3  # most are near 0 or 1: Beta(0.2, 0.2)


def test_each_image_is_mixed_with_its_probability() -> None:
    assert not shares(cutmix=0.0).any()
    found = shares(2000, cutmix=0.3, mixup=0.2)
    smooth = ((found > 0) & (found < 1)).any(3).any(2)[:, 0].float().mean()
    left_alone = (found == 0).all(3).all(2)[:, 0].float().mean()
    assert abs(smooth - 0.2) < 0.04 and 0.48 < left_alone < 0.58


def test_mixtures_are_of_the_seed_and_the_update(pictures: InMemory) -> None:
    shown = []
    for seed, step in ((0, 0), (0, 0), (1, 0), (0, 1)):
        method, teacher = taught(pictures, cutmix=1.0)
        state = new_state(seed)
        state.step = step
        updates(method, pictures, state, 1)
        shown.append(teacher.shown[0])
    assert torch.equal(shown[0], shown[1])
    assert not torch.equal(shown[0], shown[2]) and not torch.equal(shown[0], shown[3])


def test_its_learning_rate_rises_and_falls_by_a_cosine(pictures: InMemory) -> None:
    method, rates = taught(pictures, lr=0.1, warmup=0.2)[0], []
    for fraction in (0, 0.1, 0.2, 0.6, 1):
        method.schedule(fraction)
        rates.append(method.optimizers["all"].param_groups[0]["lr"])
    assert rates == pytest.approx([0, 0.05, 0.1, 0.05, 0], abs=1e-12)


@pytest.mark.parametrize(("settings", "sentence"), [
    ({"temperature": 0}, "method.temperature=0 is not a number over 0: type for example "
     "method.temperature=1."),
    ({"alpha": -1.0}, "method.alpha=-1.0 is not a number over 0: type for example "
     "method.alpha=1."),
    ({"lr": 0.0}, "method.lr=0.0 is not a number over 0: type for example method.lr=0.01."),
    ({"cutmix": 1.5}, "method.cutmix=1.5 is not from 0 to 1: type for example method.cutmix=0.1."),
    ({"mixup": True}, "method.mixup=True is not from 0 to 1: type for example method.mixup=0.1."),
    ({"warmup": -0.1}, "method.warmup=-0.1 is not from 0 to 1: type for example "
     "method.warmup=0.1."),
    ({"cutmix": 0.8, "mixup": 0.4}, "method.cutmix=0.8 and method.mixup=0.4 are probabilities of "
     "which one or the other is done, and more than 1 together: type smaller ones."),
])  # fmt: skip
def test_settings_out_of_range_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as mistake:
        Distil(name="it", teacher="", **settings)
    assert str(mistake.value) == sentence
