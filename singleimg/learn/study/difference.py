"""What two rows differ by, pair by pair, and what could have been seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev

from scipy.stats import t

CONFIDENCE = 0.95  # one-sided


@dataclass(frozen=True)
class Difference:
    """A mean over pairs of runs, in points, and the half-width of its interval (None: of one pair).

    The interval is Student's, one-sided at 95 %: with three pairs 2.92 standard errors, 1.69
    standard deviations. So the half-width is the smallest difference that could be told from 0.
    """

    points: float
    half: float | None

    @property
    def low(self) -> float:
        """The lower end; of one pair nothing is known."""
        return float("-inf") if self.half is None else self.points - self.half

    @property
    def high(self) -> float:
        """The upper end."""
        return float("inf") if self.half is None else self.points + self.half

    def __str__(self) -> str:
        return f"{self.points:+.1f}" + (" (1 seed)" if self.half is None else f" ± {self.half:.1f}")


def difference(pairs: Sequence[float]) -> Difference:
    """Of what one row is ahead of the other by in each pair, points."""
    count = len(pairs)
    if count < 2:
        return Difference(mean(pairs), None)
    return Difference(mean(pairs), float(t.ppf(CONFIDENCE, count - 1)) * stdev(pairs) / sqrt(count))
