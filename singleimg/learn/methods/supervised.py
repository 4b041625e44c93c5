"""Training with labels: the row above all others in a table of probes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import SGD

from singleimg.learn.methods.base import Method, accuracy, check_positive, set_lr, step_decay
from singleimg.learn.methods.train_state import TrainState
from singleimg.learn.networks.base import Network


class Supervised(Method):
    """The same trunk, trained on the classes of a labelled set (``data=…``).

    SGD with Nesterov momentum; ``lr`` times ``gamma`` at each of the ``milestones``, fractions of
    the training.
    """

    metrics = ("loss", "accuracy")
    needs_labels = True

    def __init__(
        self,
        *,
        lr: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        milestones: Sequence[float] = (0.3, 0.6, 0.8),
        gamma: float = 0.2,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        check_positive(lr=lr)
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.milestones, self.gamma = milestones, gamma

    def build(self, network: Network, images: int, classes: int) -> None:
        self.trunk = network.trunk()
        self.top = network.top(self.trunk.features(network.size))
        self.head = nn.Linear(self.top.size, classes)
        self.optimizers["all"] = SGD(
            self.parameters(),
            self.lr,
            self.momentum,
            weight_decay=self.weight_decay,
            nesterov=self.momentum > 0,
        )

    def schedule(self, fraction: float) -> None:
        set_lr(self.optimizers["all"], step_decay(self.lr, self.milestones, self.gamma, fraction))

    def forward(self, images: Tensor) -> Tensor:
        """The scores of the classes."""
        return self.head(self.top(self.trunk(images)))

    def update(self, images: Tensor, indices: Tensor, labels: Tensor, state: TrainState) -> dict:
        with state.fabric.autocast():
            scores = self(images)
            loss = nn.functional.cross_entropy(scores, labels)
        state.descend(loss, self.optimizers["all"])
        return {"loss": loss.detach(), "accuracy": accuracy(scores, labels)}
