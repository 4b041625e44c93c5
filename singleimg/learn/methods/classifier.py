"""What methods share that learn classes, of labels or of their own: trunk, top, one layer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from singleimg.learn.methods.base import (
    Method,
    accuracy,
    check_positive,
    cosine,
    set_lr,
    step_decay,
)
from singleimg.learn.methods.train_state import TrainState
from singleimg.learn.networks.base import Network


class Classifier(Method):
    """Called with images, it gives the scores of the classes. lr, weight_decay: of its one
    optimiser."""

    def __init__(self, *, lr: float, weight_decay: float, **settings: Any) -> None:
        super().__init__(**settings)
        check_positive(lr=lr)
        self.lr, self.weight_decay = lr, weight_decay

    def build(self, network: Network, images: int, classes: int) -> None:
        self.trunk = network.trunk()
        self.top = network.top(self.trunk.features(network.size))
        self.head = nn.Linear(self.top.size, classes)
        self.optimizers["all"] = self.optimizer()

    @abstractmethod
    def optimizer(self) -> Optimizer:
        """Of all its parameters."""

    def forward(self, images: Tensor) -> Tensor:
        """The scores of the classes."""
        return self.head(self.top(self.trunk(images)))


class LabelClassifier(Classifier):
    """Learns the label of each image, by cross-entropy.

    SGD with Nesterov momentum; ``lr`` times ``gamma`` at each of the ``milestones``, fractions of
    the training; without any (None) half a cosine brings it to 0.
    """

    metrics = ("loss", "accuracy")

    def __init__(
        self,
        *,
        lr: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        milestones: Sequence[float] | None = (0.3, 0.6, 0.8),
        gamma: float = 0.2,
        **settings: Any,
    ) -> None:
        super().__init__(lr=lr, weight_decay=weight_decay, **settings)
        self.momentum, self.milestones, self.gamma = momentum, milestones, gamma

    def optimizer(self) -> Optimizer:
        return SGD(
            self.parameters(),
            self.lr,
            self.momentum,
            weight_decay=self.weight_decay,
            nesterov=self.momentum > 0,
        )

    def schedule(self, fraction: float) -> None:
        if self.milestones is None:
            lr = cosine(self.lr, fraction)
        else:
            lr = step_decay(self.lr, self.milestones, self.gamma, fraction)
        set_lr(self.optimizers["all"], lr)

    def update(self, images: Tensor, indices: Tensor, labels: Tensor, state: TrainState) -> dict:
        with state.fabric.autocast():
            scores = self(images)
            loss = nn.functional.cross_entropy(scores, labels)
        state.descend(loss, self.optimizers["all"])
        return {"loss": loss.detach(), "accuracy": accuracy(scores, labels)}
