"""A linear classifier on frozen features, several learning rates of it at once.

The features do not move, so BatchNorm without affine needs no copy of them: with the batch's mean μ
and scale s, ((X - μ)·s) W = X (s·W) - μ (s·W), and the gradient is s·(XᵀG - μ ΣG). Classifiers of
several learning rates stand side by side as columns of W: each batch is read once for all.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

EPSILON, RUNNING = 1e-5, 0.1  # of BatchNorm, as torch has them


class Probe:
    """Classifiers of one layer, one for each of ``lrs``: BatchNorm without affine, then linear.

    SGD with momentum, no weight decay; weights begin at N(0, ``deviation``), the same for each
    learning rate, biases at 0.
    """

    def __init__(
        self,
        width: int,
        classes: int,
        lrs: Sequence[float],
        *,
        momentum: float,
        deviation: float,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        one = deviation * torch.randn(classes, width, generator=generator)
        self.classes, self.momentum = classes, momentum
        self.lrs = torch.tensor(lrs, device=device).repeat_interleave(classes)
        self.weight = one.repeat(len(lrs), 1).to(device)  # a row a column of W
        self.bias = torch.zeros(len(lrs) * classes, device=device)
        self.weight_speed, self.bias_speed = (torch.zeros_like(x) for x in (self.weight, self.bias))
        self.mean = torch.zeros(width, device=device)
        self.variance = torch.ones(width, device=device)

    def step(self, features: Tensor, labels: Tensor, fraction: float) -> None:
        """One update of all; ``fraction`` of each learning rate (the schedule's)."""
        mean, count = features.mean(0), len(features)
        variance = (features - mean).square_().mean(0)  # ten times as fast as torch.var
        self.mean.lerp_(mean, RUNNING)
        self.variance.lerp_(variance * (count / max(count - 1, 1)), RUNNING)
        scale = (variance + EPSILON).rsqrt()
        gradient = self._scores(features, mean, scale)
        gradient = torch.softmax(gradient.view(count, -1, self.classes), 2)
        gradient[torch.arange(count), :, labels] -= 1
        gradient = gradient.view(count, -1) / count
        total = gradient.sum(0)
        slope = torch.addr(gradient.T @ features, total, mean, alpha=-1).mul_(scale)
        rates = self.lrs * fraction
        self.weight.addcmul_(
            self.weight_speed.mul_(self.momentum).add_(slope), rates[:, None], value=-1
        )
        self.bias.addcmul_(self.bias_speed.mul_(self.momentum).add_(total), rates, value=-1)

    def scores(self, features: Tensor) -> Tensor:
        """B×D in, B×rates×classes out, with the running statistics."""
        scale = (self.variance + EPSILON).rsqrt()
        return self._scores(features, self.mean, scale).view(len(features), -1, self.classes)

    def _scores(self, features: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
        scaled = self.weight * scale
        return nn.functional.linear(features, scaled, self.bias - scaled @ mean)


def measure_accuracy(probe: Probe, features: Tensor, labels: Tensor, chunk: int = 1000) -> Tensor:
    """The share of ``features`` (N×D) that each learning rate's classifier gets right."""
    right = torch.zeros(len(probe.lrs) // probe.classes, device=probe.bias.device)
    for first in range(0, len(features), chunk):
        part = features[first : first + chunk].to(probe.bias.device)
        truth = labels[first : first + chunk].to(probe.bias.device)
        right += (probe.scores(part).argmax(2) == truth[:, None]).sum(0)
    return right / len(features)
