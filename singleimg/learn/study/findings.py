"""The paper's findings, as statements about the rows: they hold, or not, or are not resolved.

A difference of two rows has a standard error, from the spread over their seeds. One under two
standard errors is not resolved; nor is one of rows with a single seed, whose error nobody knows.
What is compared within a row (two layers, two moments of training) is compared run by run, since
its two sides are of the same runs. Two standard errors of three seeds are no 95 %: by Student's
distribution 82 to 88 (2 to 4 degrees of freedom).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from singleimg.learn.study.design import (
    BASELINES,
    EARLY,
    FULL,
    METHODS,
    ONE,
    RANDOM,
    THIRDS,
    ablation_name,
    table_name,
)
from singleimg.learn.study.row_run import RowResult
from singleimg.learn.study.values import Value, value

HOLDS, FAILS, OPEN, UNDECIDED = "holds", "does not hold", "not resolved", "undecided"
LEAD = 3.0  # points by which the best method is to beat random at conv2
SAME = 1.0  # points: a gap that is surely smaller is none; a row that gains more is not done yet
NOTHING = 2.0  # points by which no augmentation may beat random


@dataclass(frozen=True)
class Finding:
    """letter: of the question. said: the statement. numbers: on which the verdict rests."""

    letter: str
    said: str
    verdict: str
    numbers: str

    def __str__(self) -> str:
        return f"({self.letter}) {self.said}: {self.verdict} [{self.numbers}]"


class Rows:
    """Results of rows by their names, each with all its seeds."""

    def __init__(self, made: Sequence[RowResult]) -> None:
        self.runs: dict[str, list[RowResult]] = {}
        for one in made:
            self.runs.setdefault(one.row.name, []).append(one)

    def has(self, *names: str) -> bool:
        """Whether all of these were made."""
        return all(name in self.runs for name in names)

    def layers(self, name: str) -> int:
        """How many convolutions were probed."""
        return len(self.runs[name][0].score.layers)

    def at(self, name: str, layer: int, part: float | None = None) -> Value:
        """The accuracy of a row at a layer (0 …), at the end or at ``part`` of the training."""
        return value(self._points(name, layer, part))

    def deeper(self, name: str, layer: int, last: int) -> Value:
        """How much higher a row is at ``last`` than at ``layer``."""
        pairs = zip(self._points(name, last), self._points(name, layer), strict=True)
        return value([more - less for more, less in pairs])

    def gain(self, name: str, layer: int, part: float) -> Value:
        """How much a row gains at a layer from ``part`` of its training to the end."""
        pairs = zip(self._points(name, layer), self._points(name, layer, part), strict=True)
        return value([more - less for more, less in pairs])

    def _points(self, name: str, layer: int, part: float | None = None) -> list[float]:
        """A number a run."""
        scores = [one.score if part is None else one.early[part] for one in self.runs[name]]
        return [100 * score.layers[layer].accuracy for score in scores]


def findings(rows: Rows, ablation: Rows) -> list[Finding]:
    """All that the rows can say; a method that was not run is not spoken of."""
    methods = [m for m in METHODS if rows.has(table_name(m, ONE))]
    both = [m for m in methods if rows.has(table_name(m, FULL))]
    said = [beats_random(rows, method) for method in methods]
    said += [leads(rows, methods)] if methods else []
    said += [gap(rows, method, layer) for method in both for layer in EARLY]
    said += [deeper_is_wider(rows, method) for method in both]
    if ablation.has("none", "all", "scale") and rows.has(RANDOM):
        last = ablation.layers("all") - 1
        for layer in (1, last):
            said += [
                nothing_learned(rows, ablation, layer),
                best(ablation, "scale", ("jitter", "rotation"), layer,
                     "scale is the best single factor"),
                best(ablation, "all", [n for n in ablation.runs if n != "all"], layer,
                     "all three factors together are best"),
            ]  # fmt: skip
    return said


def beats_random(rows: Rows, method: str) -> Finding:
    """(a), for one method: at every layer."""
    name = table_name(method, ONE)
    leads = [rows.at(name, k) - rows.at(BASELINES[method], k) for k in range(rows.layers(name))]
    verdict = OPEN
    if all(lead.above() for lead in leads):
        verdict = HOLDS
    elif any(lead.below() for lead in leads):
        verdict = FAILS
    numbers = ", ".join(f"conv{k + 1} {lead}" for k, lead in enumerate(leads))
    return Finding("a", f"{name} beats random at every layer", verdict, numbers)


def leads(rows: Rows, methods: Sequence[str]) -> Finding:
    """(a), for the best method: by at least 3 points at conv2."""
    lead = {m: rows.at(table_name(m, ONE), 1) - rows.at(BASELINES[m], 1) for m in methods}
    # A method of one seed is best only where there is no other.
    known = {m: one for m, one in lead.items() if one.error is not None} or lead
    top = max(known, key=lambda m: known[m].points)
    verdict = HOLDS if known[top].above(LEAD) else FAILS if known[top].below(LEAD) else OPEN
    said = f"the best method ({METHODS[top]}) beats random by {LEAD:g} points at conv2"
    return Finding("a", said, verdict, str(known[top]))


def gap(rows: Rows, method: str, layer: int) -> Finding:
    """(b): one image is as good as the full set at this layer."""
    one, full = table_name(method, ONE), table_name(method, FULL)
    early = rows.at(full, layer, THIRDS[0]) - rows.at(one, layer, THIRDS[0])
    end = rows.at(full, layer) - rows.at(one, layer)
    gain = rows.gain(full, layer, THIRDS[1])
    verdict = OPEN
    if gain.points > SAME:
        verdict = UNDECIDED
    elif end.below(SAME):
        verdict = HOLDS
    elif end.above():
        verdict = FAILS
    numbers = f"gap {early} at a third, {end} at the end; full gains {gain} in the last third"
    return Finding("b", f"{METHODS[method]}: no gap to the full set at conv{layer + 1}", verdict,
                   numbers)  # fmt: skip


def deeper_is_wider(rows: Rows, method: str) -> Finding:
    """(c): the gap is larger at the last layer than at conv2."""
    one, full = table_name(method, ONE), table_name(method, FULL)
    last = rows.layers(one) - 1
    second, deepest = (rows.at(full, k) - rows.at(one, k) for k in (1, last))
    more = rows.deeper(full, 1, last) - rows.deeper(one, 1, last)
    verdict = HOLDS if more.above() else FAILS if more.below() else OPEN
    said = f"{METHODS[method]}: the gap is larger at conv{last + 1} than at conv2"
    return Finding("c", said, verdict, f"{deepest} and {second}: {more}")


def nothing_learned(rows: Rows, ablation: Rows, layer: int) -> Finding:
    """(d): without augmentation nothing is learned."""
    lead = ablation.at(ablation_name(()), layer) - rows.at(RANDOM, layer)
    verdict = HOLDS if lead.below(NOTHING) else FAILS if lead.above(NOTHING) else OPEN
    said = f"no augmentation is not over {NOTHING:g} points better than random at conv{layer + 1}"
    return Finding("d", said, verdict, str(lead))


def best(ablation: Rows, name: str, others: Sequence[str], layer: int, said: str) -> Finding:
    """(d): a row of the ablation above these others."""
    leads = {other: ablation.at(name, layer) - ablation.at(other, layer) for other in others}
    verdict = OPEN
    if all(lead.above() for lead in leads.values()):
        verdict = HOLDS
    elif any(lead.below() for lead in leads.values()):
        verdict = FAILS
    least = min(leads, key=lambda other: leads[other].points)
    return Finding(
        "d", f"{said} at conv{layer + 1}", verdict, f"{leads[least]} to the next, {least}"
    )
