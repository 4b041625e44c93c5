"""VICReg: its three terms by hand, and that it learns without collapse."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from singleimg.learn.data.batches import InMemory
from singleimg.learn.methods.train_state import TrainState
from singleimg.learn.methods.vicreg import VICReg
from tests.learn.methods.pairs import made, train_on_views
from tests.learn.tiny import seeded

pytest.importorskip("lightly")


def terms(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
    """Invariance, variance and covariance of N×D outputs, as the paper defines them.

    The variance is the mean of both views', as in the authors' code.
    """
    invariance = float(((first - second) ** 2).mean())
    variance, covariance = 0.0, 0.0
    for one in (first, second):
        deviations = np.sqrt(one.var(0, ddof=1) + 1e-4)
        variance += float(np.maximum(0, 1 - deviations).mean()) / 2
        matrix = np.cov(one.T)
        covariance += float((matrix**2).sum() - (np.diag(matrix) ** 2).sum()) / one.shape[1]
    return invariance, variance, covariance


@pytest.mark.parametrize("weights", [(25, 25, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_the_loss_is_the_one_computed_by_hand(weights: tuple, pictures: InMemory) -> None:
    first = torch.randn(30, 5, generator=seeded()) * 0.8
    second = first + 0.5 * torch.randn(30, 5, generator=seeded(1))
    names = dict(zip(("invariance", "variance", "covariance"), weights, strict=True))
    outputs = torch.cat([first, second])
    expected = np.dot(weights, terms(first.double().numpy(), second.double().numpy()))
    found = float(made(VICReg, pictures, **names).loss(outputs, outputs))
    assert found == pytest.approx(float(expected), rel=1e-4)


def test_it_learns_and_its_outputs_stay_apart(pictures: InMemory, state: TrainState) -> None:
    said = train_on_views(made(VICReg, pictures), pictures, state, 120)
    begin, end = (np.mean([one["loss"] for one in part]) for part in (said[:10], said[-10:]))
    assert end < 0.9 * begin and said[-1]["spread"] > 0.3


def test_without_variance_and_covariance_outputs_collapse(
    pictures: InMemory, state: TrainState
) -> None:
    """So the spread shows what it is there for."""
    alone = made(VICReg, pictures, variance=0, covariance=0)
    said = train_on_views(alone, pictures, state, 120)
    assert said[-1]["spread"] < 0.6 * said[0]["spread"]
