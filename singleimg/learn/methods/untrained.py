"""No training at all: the row below all others in a table of probes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from singleimg.learn.data.batches import Images
from singleimg.learn.methods.base import Method
from singleimg.learn.methods.train_state import TrainState
from singleimg.learn.networks.base import Network


class Untrained(Method):
    """The trunk as it is initialised, with the BatchNorm statistics of one pass over the images.

    norm, slope: as the method that it is compared with makes its trunk: BatchNorm or none, and the
    slope of LeakyReLU (0: ReLU).
    """

    metrics = ("images",)
    watched = "images"

    def __init__(self, *, norm: bool = True, slope: float = 0.0, **settings: Any) -> None:
        super().__init__(**settings)
        self.norm, self.slope = norm, slope

    def build(self, network: Network, images: int, classes: int) -> None:
        """The trunk, whose BatchNorm layers take plain means over the batches."""
        self.trunk = network.trunk(self.norm, self.slope)
        for module in self.trunk.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None

    def order(self, epoch: int, images: Images, state: TrainState) -> np.ndarray:
        """As it is: nothing is learned, so nothing depends on it."""
        return np.arange(len(images))

    @torch.no_grad()
    def update(self, images: Tensor, indices: Tensor, labels: Tensor, state: TrainState) -> dict:
        self.trunk(images)
        return {"images": torch.tensor(float(len(images)))}
