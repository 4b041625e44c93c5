"""How well a method answers its own question."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from singleimg.learn.data.batches import InMemory
from singleimg.learn.methods.rotnet import RotNet, rotate_quarters
from singleimg.learn.methods.supervised import Supervised
from singleimg.learn.probes.pretext import pretext_accuracy
from tests.learn.tiny import built

CPU = torch.device("cpu")


class Oracle(RotNet):
    """Knows that the images have a bar at their top."""

    def forward(self, images: Tensor) -> Tensor:
        sides = [images[:, :, :4], images[..., :4], images[:, :, -4:], images[..., -4:]]
        return torch.stack([side.mean((1, 2, 3)) for side in sides], 1)


def bars(count: int) -> InMemory:
    pixels = torch.zeros(count, 3, 32, 32, dtype=torch.uint8)
    pixels[:, :, :4] = 255
    return InMemory(pixels)


def test_whoever_knows_all_answers_has_them_all_right() -> None:
    assert pretext_accuracy(built(Oracle, bars(600), batch_size=4), bars(600), 32, CPU) == 1


def test_who_knows_nothing_has_a_quarter_right(pictures) -> None:
    method = built(RotNet, pictures, batch_size=4)
    with torch.no_grad():
        method.head.weight.zero_()
        method.head.bias.copy_(torch.tensor([0.0, 1, 0, 0]))
    assert pretext_accuracy(method, pictures, 32, CPU) == pytest.approx(0.25)


def test_all_four_rotations_of_each_are_asked() -> None:
    images = torch.rand(3, 3, 32, 32)
    scores, labels = built(Oracle, bars(4), batch_size=4).pretext(images)
    assert scores.shape == (12, 4)
    assert torch.equal(labels, rotate_quarters(images)[1])


def test_a_method_without_such_a_question_says_none(pictures) -> None:
    assert pretext_accuracy(built(Supervised, pictures, batch_size=4), pictures, 32, CPU) is None
