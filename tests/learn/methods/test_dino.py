"""DINO: its loss and centre by hand, temperatures, the frozen layer, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from singleimg.learn.data.batches import InMemory
from singleimg.learn.methods.dino import DINO
from singleimg.learn.methods.train_state import TrainState
from tests.learn.methods.pairs import made, train_on_views
from tests.learn.tiny import seeded

pytest.importorskip("lightly")


def softmax(values: np.ndarray) -> np.ndarray:
    """Of each row."""
    powers = np.exp(values - values.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def test_loss_and_centre_are_those_computed_by_hand(pictures: InMemory) -> None:
    method = made(DINO, pictures, temperature=0.2, centre_momentum=0.7)
    method.schedule(0)
    centre = np.zeros(16)
    for seed in range(3):
        student, teacher = (torch.randn(20, 16, generator=seeded(2 * seed + n)) for n in (0, 1))
        one, two = (values.double().numpy() for values in (student, teacher))
        classes = softmax((two - centre) / 0.04)
        others = np.log(softmax(one / 0.2))[[*range(10, 20), *range(10)]]
        expected = -(classes * others).sum(1).mean()
        assert float(method.loss(student, teacher)) == pytest.approx(expected, rel=1e-4)
        centre = 0.7 * centre + 0.3 * two.mean(0)
        assert np.allclose(method.dino.center.flatten().numpy(), centre, atol=1e-5)


def test_the_centre_is_in_the_checkpoint(pictures: InMemory, state: TrainState) -> None:
    method = made(DINO, pictures)
    train_on_views(method, pictures, state, 2)
    kept = method.state_dict()["dino.center"]
    assert torch.equal(kept, method.dino.center) and kept.abs().sum() > 0


@pytest.mark.parametrize(("fraction", "now"), [(0, 0.04), (0.1, 0.05), (0.2, 0.06), (0.9, 0.06)])
def test_the_teacher_s_temperature_rises(fraction: float, now: float, pictures: InMemory) -> None:
    method = made(DINO, pictures, teacher_temperature=[0.04, 0.06], sharpening=0.2)
    method.schedule(fraction)
    assert method.now == pytest.approx(now)
    student, teacher = (torch.randn(20, 16, generator=seeded(n)) for n in (0, 1))
    classes = softmax(teacher.double().numpy() / now)
    others = np.log(softmax(student.double().numpy() / 0.1))[[*range(10, 20), *range(10)]]
    expected = -(classes * others).sum(1).mean()
    assert float(method.loss(student, teacher)) == pytest.approx(expected, rel=1e-4)


def test_the_last_layer_is_frozen_at_first_and_its_length_always(
    pictures: InMemory, state: TrainState
) -> None:
    method = made(DINO, pictures, frozen=0.1)
    layer = method.head.last_layer
    first, length = layer.weight_v.detach().clone(), layer.weight_g.detach().clone()
    for fraction, moves in ((0, False), (0.09, False), (0.1, True), (0.5, True)):
        before = layer.weight_v.detach().clone()
        method.schedule(fraction)
        train_on_views(method, pictures, state, 1)
        assert torch.equal(before, layer.weight_v) != moves
    assert not torch.equal(first, layer.weight_v) and torch.equal(length, layer.weight_g)


def test_it_learns_and_does_not_collapse(pictures: InMemory, state: TrainState) -> None:
    method = made(DINO, pictures, output=64)
    said = train_on_views(method, pictures, state, 120)
    end = np.mean([one["loss"] for one in said[-10:]])
    assert end < 0.9 * np.log(64) and said[-1]["spread"] > 0.2
