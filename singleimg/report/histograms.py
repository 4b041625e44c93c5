"""Histograms of all that is drawn, each beside the distribution that was intended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from singleimg.drawing.drawn import Drawn
from singleimg.drawing.draws import Draws
from singleimg.drawing.steps import ApplyStep, ChoiceStep, ContainerStep, LawStep, Step
from singleimg.transforms.base import Measure, Spread

_BINS = 40
_LABELS = 12  # different words that have a bar each; what is rarer has none
# Parameters that only repeat a setting, or others.
_LEFT_OUT = ("num_input_channels", "needs_crop", "needs_pad", "padding", "fn_idx")


@dataclass
class Histogram:
    """What one parameter was.

    low, high: of the bins of ``counts``; ``log``: evenly spaced on a logarithmic scale. expected:
    the share of each bin, as intended; None: no one law tells. For words, ``labels`` of the counts
    instead of bins.
    """

    transform: str
    parameter: str
    counts: np.ndarray
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    labels: list[str] = field(default_factory=list)
    expected: np.ndarray | None = None


class _Series(NamedTuple):
    """Values of one parameter: numbers, or words. p: how probable the word ``yes`` is."""

    transform: str
    parameter: str
    values: np.ndarray
    spread: Spread | None = None
    p: float | None = None


class Histograms:
    """Counts what many images drew, batch by batch; the first batch decides bins without a law."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = steps
        names = [leaf.name for step in steps for leaf in step.leaves()]
        seen: Counter[str] = Counter()
        self._titles: dict[int, str] = {}
        for leaf in (leaf for step in steps for leaf in step.leaves()):
            seen[leaf.name] += 1
            number = f" ({seen[leaf.name]})" if names.count(leaf.name) > 1 else ""
            self._titles[id(leaf)] = f"{leaf.name}{number}"
        self._numbers: dict[tuple[str, str], Histogram] = {}
        self._words: dict[tuple[str, str], tuple[Counter[str], float | None]] = {}
        self._order: dict[tuple[str, str], None] = {}

    def add(self, draws: Draws) -> None:
        """A batch more."""
        size, everyone = draws.size, np.ones(len(draws), bool)
        for step, drawn in zip(self._steps, draws.steps, strict=True):
            for series in self._series(step, drawn, size, everyone):
                self._count(series)
            size = step.after(size, drawn)

    def all(self) -> list[Histogram]:
        """What was counted, in the order of the transforms; of what is constant nothing."""
        made = []
        for key in self._order:
            if key in self._numbers:
                made.append(self._numbers[key])
            else:
                made.append(_of_words(*key, *self._words[key]))
        return [one for one in made if np.count_nonzero(one.counts) > 1]

    def _count(self, series: _Series) -> None:
        key = series.transform, series.parameter
        self._order.setdefault(key)
        if series.values.dtype.kind not in "fiu":
            counter, _ = self._words.setdefault(key, (Counter(), series.p))
            words, counts = np.unique(series.values.astype(str), return_counts=True)
            counter.update(dict(zip(words.tolist(), counts.tolist(), strict=True)))
        elif len(series.values):
            one = self._numbers.setdefault(key, _empty(series))
            values, low, high = series.values.astype(float), one.low, one.high
            if one.log:
                values, low, high = np.log(values), np.log(low), np.log(high)
            bins = ((values - low) / ((high - low) or 1.0) * len(one.counts)).astype(np.int64)
            one.counts += np.bincount(bins.clip(0, len(one.counts) - 1), minlength=len(one.counts))

    def _series(
        self, step: Step, drawn: Drawn, size: Measure | None, on: np.ndarray
    ) -> Iterator[_Series]:
        """Of each parameter the values of those images for which it was drawn."""
        if isinstance(step, ContainerStep):
            for position, child in enumerate(step.children):
                happens = on & (drawn.order == position).any(axis=1)
                if isinstance(step, ApplyStep | ChoiceStep):
                    p = step.p if isinstance(step, ApplyStep) else None
                    if isinstance(step, ChoiceStep):
                        p = step.weights[position] / sum(step.weights)
                    title = self._titles[id(next(child.leaves()))]
                    yield _Series(title, f"{step.name} is applied", _yes(happens[on]), p=p)
                # Where in a container it comes may differ: sizes are not known here.
                yield from self._series(child, drawn.children[position], None, happens)
            return
        title = self._titles[id(step)]
        if drawn.gated:
            yield _Series(title, "happens", _yes(drawn.on[on]), p=step.p)
            on = on & drawn.on
        if not isinstance(step, LawStep) or drawn.columns is None:
            return
        columns, spreads = dict(drawn.columns), step.law.spreads()
        if size is not None and on.all() and len(on):
            columns |= step.law.derived(columns, size())
        for parameter, column in columns.items():
            if column is not None and parameter not in _LEFT_OUT:
                values = column[on] if column.ndim == 1 else column[on][:, 0]
                yield _Series(title, parameter, values, spreads.get(parameter))


def _yes(happens: np.ndarray) -> np.ndarray:
    return np.where(happens, "yes", "no")


def _empty(series: _Series) -> Histogram:
    values, spread = series.values, series.spread
    if spread is not None and spread.low < spread.high:
        expected = np.full(_BINS, 1 / _BINS)
        counts = np.zeros(_BINS, np.int64)
        return Histogram(series.transform, series.parameter, counts, *spread, expected=expected)
    low, high, bins = float(values.min()), float(values.max()), _BINS
    if values.dtype.kind in "iu":  # as many whole numbers in each bin
        width = max(1, -(-int(high - low + 1) // _BINS))
        bins = -(-int(high - low + 1) // width)
        high = low + bins * width
    return Histogram(series.transform, series.parameter, np.zeros(bins, np.int64), low, high)


def _of_words(transform: str, parameter: str, found: Counter[str], p: float | None) -> Histogram:
    labels = sorted(word for word, _ in found.most_common(_LABELS))
    counts = np.array([found[word] for word in labels], np.int64)
    expected = None if p is None else np.array([p if word == "yes" else 1 - p for word in labels])
    return Histogram(transform, parameter, counts, labels=labels, expected=expected)
