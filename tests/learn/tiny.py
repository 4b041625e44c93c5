"""Methods on a network of a few channels, and a few updates of them: for the tests beside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from singleimg.learn.data.batches import InMemory
from singleimg.learn.methods.base import Method
from singleimg.learn.methods.train_state import TrainState
from singleimg.learn.networks.cifar_conv4 import CifarConv4
from tests.learn.conftest import Alone

NETWORK = CifarConv4([8, 16, 16, 16])


class Fabric(Alone):
    """The same, as if there were ``world_size`` processors of which this is one."""

    def __init__(self, rank: int = 0, world_size: int = 1) -> None:
        self.global_rank, self.world_size, self.is_global_zero = rank, world_size, rank == 0

    def all_reduce(self, value: Tensor, reduce_op: str = "mean") -> Tensor:
        """As if the gradients of all others were zero."""
        assert reduce_op == "mean"
        return value / self.world_size


def new_state(seed: int = 0, max_norm: float | None = None, **fabric: int) -> TrainState:
    """Update 0 of a run."""
    return TrainState(Fabric(**fabric), seed, max_norm)


def seeded(number: int = 0) -> torch.Generator:
    """A generator of torch's."""
    return torch.Generator().manual_seed(number)


def levels(images: InMemory) -> Tensor:
    """All images as methods see them: ``float`` of 0 … 1."""
    return images.pixels.float() / 255


def built(kind: type[Method], images: InMemory, **settings: Any) -> Any:
    """A method on the small network, from the same initial weights each time."""
    torch.manual_seed(0)
    method = kind(name="it", **settings)
    method.build(NETWORK, len(images), int(images.labels.max()) + 1)
    return method.train()


def updates(
    method: Method, images: InMemory, state: TrainState, count: int
) -> list[dict[str, float]]:
    """What each of so many updates on all images at once says."""
    said, indices = [], torch.arange(len(images))
    for _ in range(count):
        said.append(method.update(levels(images), indices, images.labels, state))
        state.step += 1
    return [{key: float(value) for key, value in one.items()} for one in said]


def epochs(
    method: Method, images: InMemory, state: TrainState, batch: int, count: int
) -> Iterator[dict]:
    """What each update says, of so many epochs in the method's own order."""
    for epoch in range(count):
        order = np.array_split(method.order(epoch, images, state), len(images) // batch)
        for indices in order:
            indices = torch.from_numpy(indices)
            pixels = levels(images)[indices]
            yield method.update(pixels, indices, images.labels[indices], state)
            state.step += 1


def weights(*modules: nn.Module) -> list[Tensor]:
    """Copies of all parameters."""
    return [p.detach().clone() for module in modules for p in module.parameters()]


def same(first: Sequence[Tensor], second: Sequence[Tensor]) -> bool:
    """Whether all are equal, to the bit."""
    return len(first) == len(second) and all(map(torch.equal, first, second))
