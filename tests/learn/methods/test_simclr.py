"""SimCLR: its loss by hand, its chance level, and that only pairs of one image teach it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from singleimg.learn.data.batches import InMemory
from singleimg.learn.methods.simclr import SimCLR
from singleimg.learn.methods.train_state import TrainState
from tests.learn.methods.pairs import made, train_on_views
from tests.learn.tiny import seeded

pytest.importorskip("lightly")


def by_hand(outputs: np.ndarray, temperature: float) -> tuple[float, float]:
    """Loss and accuracy of 2N×D outputs, view by view."""
    count = len(outputs)
    directions = outputs / np.linalg.norm(outputs, axis=1, keepdims=True)
    losses, hits = [], []
    for k in range(count):
        partner, others = (k + count // 2) % count, [j for j in range(count) if j != k]
        similar = directions @ directions[k] / temperature
        losses.append(math.log(sum(math.exp(similar[j]) for j in others)) - similar[partner])
        hits.append(max(others, key=lambda j: similar[j]) == partner)
    return float(np.mean(losses)), float(np.mean(hits))


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2])
def test_loss_and_accuracy_are_those_computed_by_hand(
    temperature: float, pictures: InMemory
) -> None:
    method = made(SimCLR, pictures, temperature=temperature)
    first = torch.randn(20, 6, generator=seeded())
    outputs = torch.cat([first, first + 0.7 * torch.randn(20, 6, generator=seeded(1))])
    loss, accuracy = by_hand(outputs.double().numpy(), temperature)
    assert float(method.loss(outputs, outputs)) == pytest.approx(loss, rel=1e-4)
    assert float(method.measure(outputs)["accuracy"]) == pytest.approx(accuracy)
    assert 0.2 < accuracy < 0.95


CROPS = {"jitter": 0, "grey": 0}  # colours tell pictures apart
PAIRS, CHANCE = 24, math.log(2 * 24 - 1)


def patches(photograph: Tensor, step: int) -> Tensor:
    """24 places of it, 32 px square."""
    span = photograph.shape[-1] - 31
    corners = torch.randint(0, span, (PAIRS, 2), generator=seeded(step)).tolist()
    return torch.stack([photograph[:, y : y + 32, x : x + 32] for y, x in corners])


def losses(pictures: InMemory, state: TrainState, related: bool) -> list[float]:
    """Of 150 updates, on two views of each patch, or on those of patches drawn one by one."""
    noise = torch.rand(1, 3, 60, 60, generator=seeded(5))
    photograph = nn.functional.interpolate(noise, size=480, mode="bicubic")[0].clamp(0, 1)
    method, said = made(SimCLR, pictures, views=CROPS, output=64, temperature=1), []
    for step in range(150):
        first = patches(photograph, 2 * step)
        second = first if related else patches(photograph, 2 * step + 1)
        views = [method.augment(images, 32, state.generator("augment")).chunk(2)[k]
                 for k, images in enumerate((first, second))]  # fmt: skip
        loss = method.update(torch.cat(views), torch.arange(PAIRS), pictures.labels, state)["loss"]
        said.append(float(loss))
        state.step += 1
    return said


def test_on_unrelated_patches_the_loss_stays_at_log_2n_minus_1(
    pictures: InMemory, state: TrainState
) -> None:
    unrelated = losses(pictures, state, related=False)
    assert np.mean(unrelated[-50:]) == pytest.approx(CHANCE, abs=0.1)
    assert min(unrelated) > CHANCE - 0.2


def test_on_two_views_of_each_patch_it_falls_far_below(
    pictures: InMemory, state: TrainState
) -> None:
    assert np.mean(losses(pictures, state, related=True)[-50:]) < CHANCE - 0.4


def test_it_learns_to_pick_the_partner(pictures: InMemory, state: TrainState) -> None:
    said = train_on_views(made(SimCLR, pictures, views=CROPS), pictures, state, 120)
    begin, end = (np.mean([one["accuracy"] for one in part]) for part in (said[:10], said[-10:]))
    assert end > begin + 0.2 and end > 0.5
    assert said[-1]["spread"] > 0.5
