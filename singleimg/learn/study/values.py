"""Accuracies and their differences, with the errors that they have over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, variance

SIGMAS = 2.0  # standard errors from which on a difference is sure


@dataclass(frozen=True)
class Value:
    """An accuracy or a difference in points, and its standard error (None: of one seed)."""

    points: float
    error: float | None

    def __sub__(self, other: Value) -> Value:
        known = self.error is not None and other.error is not None
        error = sqrt(self.error**2 + other.error**2) if known else None
        return Value(self.points - other.points, error)

    def above(self, bound: float = 0.0) -> bool:
        """Surely larger."""
        return self.error is not None and self.points - bound > SIGMAS * self.error

    def below(self, bound: float = 0.0) -> bool:
        """Surely smaller."""
        return self.error is not None and bound - self.points > SIGMAS * self.error

    def __str__(self) -> str:
        return f"{self.points:+.1f}" + (
            " (1 seed)" if self.error is None else f" ± {self.error:.1f}"
        )


def value(points: Sequence[float]) -> Value:
    """Mean, and the standard error of the mean."""
    error = sqrt(variance(points) / len(points)) if len(points) > 1 else None
    return Value(mean(points), error)
