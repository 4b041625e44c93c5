"""Methods of two views on a small network, and updates of them: for the tests beside."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from singleimg.learn.data.batches import InMemory
from singleimg.learn.methods.train_state import TrainState
from singleimg.learn.methods.two_views import TaughtByMean, TwoViews
from tests.learn.tiny import built, levels


def made(kind: type[TwoViews], images: InMemory, **settings: Any) -> Any:
    """Not trained yet, with a small head."""
    small: dict[str, Any] = {"views": {}, "hidden": 32, "output": 16, "lr": 0.005}
    if issubclass(kind, TaughtByMean):
        small["teacher_momentum"] = 0.9
    return built(kind, images, **{**small, **settings})


def views_of(method: TwoViews, images: InMemory, state: TrainState) -> Tensor:
    """Those that the loop draws for this update."""
    return method.augment(levels(images), 32, state.generator("augment"))


def train_on_views(
    method: TwoViews, images: InMemory, state: TrainState, count: int
) -> list[dict[str, float]]:
    """What each of so many updates on views of all images says."""
    said = []
    for _ in range(count):
        views = views_of(method, images, state)
        said.append(method.update(views, torch.arange(len(images)), images.labels, state))
        state.step += 1
    return [{key: float(value) for key, value in one.items()} for one in said]
