"""BYOL: its loss by hand, the predictor, and that it learns without negatives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from singleimg.learn.data.batches import InMemory
from singleimg.learn.methods.byol import BYOL
from singleimg.learn.methods.train_state import TrainState
from singleimg.learn.methods.two_views import mean_features
from tests.learn.methods.pairs import made, train_on_views, views_of
from tests.learn.tiny import seeded

pytest.importorskip("lightly")


def test_a_view_is_compared_with_what_the_teacher_says_of_the_other(pictures: InMemory) -> None:
    student, teacher = (torch.randn(24, 7, generator=seeded(n)) for n in (0, 1))
    one, two = (values.double().numpy() for values in (student, teacher))
    cosines = [
        one[k] @ two[j] / np.linalg.norm(one[k]) / np.linalg.norm(two[j])
        for k, j in zip(range(24), [*range(12, 24), *range(12)], strict=True)
    ]
    loss = float(made(BYOL, pictures).loss(student, teacher))
    assert loss == pytest.approx(-float(np.mean(cosines)), abs=1e-5)


def test_the_student_has_a_predictor_and_the_teacher_has_none(
    pictures: InMemory, state: TrainState
) -> None:
    method = made(BYOL, pictures)
    views = views_of(method, pictures, state)
    student, teacher = method.outputs(views)
    head = method.head(mean_features(method.trunk, views))
    assert torch.allclose(head, teacher, atol=1e-5)  # before the first update
    assert torch.allclose(student, method.predictor(head), atol=1e-5)
    train_on_views(method, pictures, state, 1)
    assert all(weight.grad is not None for weight in method.predictor.parameters())


def test_it_learns_and_does_not_collapse(pictures: InMemory, state: TrainState) -> None:
    said = train_on_views(made(BYOL, pictures), pictures, state, 120)
    begin, end = (np.mean([one["loss"] for one in part]) for part in (said[:10], said[-10:]))
    assert end < begin - 0.2 and end >= -1
    assert said[-1]["spread"] > 0.2
