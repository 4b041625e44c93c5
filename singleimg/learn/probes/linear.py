"""Linear classifiers on frozen features, of several learning rates at once.

Classifiers of several rates stand side by side as columns of one matrix: each batch is read once
for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

EPSILON = 1e-5  # of BatchNorm, as torch has it
_CHUNK = 1000  # rows a pass


class Probe:
    """Classifiers of one layer, one for each of ``lrs``, on standardised features.

    SGD with momentum; ``penalty`` times the weights is added to their gradient. Weights begin at
    N(0, ``deviation``), the same for each learning rate, biases at 0.
    """

    def __init__(
        self,
        width: int,
        classes: int,
        lrs: Sequence[float],
        *,
        momentum: float,
        penalty: float,
        deviation: float,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        one = deviation * torch.randn(classes, width, generator=generator)
        self.classes, self.momentum, self.penalty = classes, momentum, penalty
        self.lrs = torch.tensor(lrs, device=device).repeat_interleave(classes)
        self.weight = one.repeat(len(lrs), 1).to(device)  # a row a column of the matrix
        self.bias = torch.zeros(len(lrs) * classes, device=device)
        self.weight_speed, self.bias_speed = (torch.zeros_like(x) for x in (self.weight, self.bias))

    def step(self, features: Tensor, labels: Tensor, fraction: float) -> None:
        """One update of all on B×D features; ``fraction``: of each rate, by the schedule."""
        count = len(features)
        gradient = torch.softmax(self.scores(features), 2)
        gradient[torch.arange(count, device=labels.device), :, labels] -= 1
        gradient = gradient.view(count, -1) / count
        rates = self.lrs * fraction
        self.weight_speed.addmm_(gradient.T, features, beta=self.momentum)
        self.weight_speed.add_(self.weight, alpha=self.penalty)
        self.bias_speed.mul_(self.momentum).add_(gradient.sum(0))
        self.weight.addcmul_(self.weight_speed, rates[:, None], value=-1)
        self.bias.addcmul_(self.bias_speed, rates, value=-1)

    def scores(self, features: Tensor) -> Tensor:
        """B×D in, B×rates×classes out."""
        scores = torch.addmm(self.bias, features, self.weight.T)
        return scores.view(len(features), -1, self.classes)


class Standard:
    """What makes each of D features have mean 0 and variance 1 over N of them (V×N×D): BatchNorm
    without affine whose statistics are those of all images, not of a batch."""

    def __init__(self, features: Tensor) -> None:
        flat = features.view(-1, features.shape[-1])
        sums, squares = torch.zeros(2, flat.shape[1], dtype=torch.float64)
        for part in flat.split(_CHUNK):
            sums += part.sum(0)
        self.mean = (sums / len(flat)).float()
        for part in flat.split(_CHUNK):
            squares += (part - self.mean).square_().sum(0)
        self.scale = (squares / len(flat) + EPSILON).rsqrt().float()

    def apply(self, features: Tensor) -> Tensor:
        """The same features, in place."""
        return features.sub_(self.mean).mul_(self.scale)


def measure_accuracy(probe: Probe, features: Tensor, labels: Tensor) -> Tensor:
    """The share of ``features`` (N×D, standardised) that the classifier of each rate gets right."""
    right = torch.zeros(len(probe.lrs) // probe.classes, device=probe.bias.device)
    parts = zip(features.split(_CHUNK), labels.split(_CHUNK), strict=True)
    for part, truth in parts:
        said = probe.scores(part.to(probe.bias.device)).argmax(2)
        right += (said == truth.to(probe.bias.device)[:, None]).sum(0)
    return right / len(features)
