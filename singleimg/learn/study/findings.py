"""The paper's findings, as statements about the rows, and the rules by which they are judged.

Every threshold here was fixed before the rows were made. Rows of one seed share their initial
weights, so that differences are those of pairs, by seed; ``difference`` says how sure they are. The
seeds cover renderings, initial weights and order, not the choice of the picture.

(a) One image beats random: at every layer, surely above 0.
(b) There is no gap to the full set at a layer: surely under one point, over five seeds or more, and
    the full set converged: from half the updates, in a training of its own that is annealed as
    well, it surely gains under one point. It does not hold where there is a gap: surely above 0,
    and no smaller than at half the updates. Then the full set need not be converged.
(c) The gap is larger at the last layer than at conv2: in the same way.
(d) What each augmentation of the one image gives (of the ablation alone).
(e) A student of a photograph beats one of noise by ten points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from singleimg.learn.study.design import (
    FULL,
    HALF,
    METHODS,
    ONE,
    RANDOM,
    ablation_name,
    baseline,
    student_name,
    table_name,
)
from singleimg.learn.study.difference import Difference, difference
from singleimg.learn.study.row_run import RowResult

HOLDS, FAILS = "holds", "does not hold"
INTERVAL = "undecided: interval"
NOT_CONVERGED = "undecided: not converged"
SHRINKS = "undecided: the gap shrinks"
FEW_SEEDS = "undecided: under five seeds"
LEAD = 3.0  # points by which the better method is to beat random at conv2
SAME = 1.0  # points: a gap that is surely smaller is none; so is what more updates give
SEEDS = 5  # from which on it may be said that there is no gap
NOTHING = 2.0  # points by which no augmentation may beat random
STUDENT = 10.0  # points by which the student of a photograph is to beat that of noise
EARLY = (0, 1)  # layers of which (b) speaks, 0 …
PHOTOGRAPH, NOISE = "ameyoko", "noise"  # whose students are compared


@dataclass(frozen=True)
class Finding:
    """letter: of the question. said: the statement. numbers: on which the verdict rests. resolves:
    the smallest difference that could have been seen, in points; None: of one seed.
    """

    letter: str
    said: str
    verdict: str
    numbers: str
    resolves: float | None

    @property
    def decided(self) -> bool:
        """Whether it holds or does not."""
        return self.verdict in (HOLDS, FAILS)

    def __str__(self) -> str:
        return f"({self.letter}) {self.said}: {self.verdict} [{self.numbers}]"


class Rows:
    """Results of rows by their names, each with all its seeds."""

    def __init__(self, made: Sequence[RowResult]) -> None:
        self.runs: dict[str, dict[int, RowResult]] = {}
        for one in made:
            self.runs.setdefault(one.row.name, {})[one.row.seed] = one

    def has(self, *names: str) -> bool:
        """Whether all of these were made."""
        return all(name in self.runs for name in names)

    def layers(self, name: str) -> int:
        """How many convolutions were probed."""
        score = next(iter(self.runs[name].values())).score
        return len(score.layers) if score else 0

    def ahead(
        self, terms: Mapping[str, float], of: Callable[[RowResult], float]
    ) -> tuple[Difference, int]:
        """A sum of rows, each times its factor, by seed; and of how many seeds.

        of: what is looked at of a run, as a share.
        """
        seeds = set.intersection(*(set(self.runs[name]) for name in terms))
        sums = [
            sum(100 * factor * of(self.runs[name][seed]) for name, factor in terms.items())
            for seed in sorted(seeds)
        ]
        return difference(sums), len(sums)

    def lead(self, first: str, second: str, layer: int) -> Difference:
        """By how much the first row is ahead of the second at a layer, 0 …"""
        return self.ahead({first: 1, second: -1}, at(layer))[0]


def at(layer: int) -> Callable[[RowResult], float]:
    """The accuracy of a run at a layer, 0 …"""

    def accuracy(one: RowResult) -> float:
        assert one.score is not None
        return one.score.layers[layer].accuracy

    return accuracy


def findings(rows: Rows) -> list[Finding]:
    """All that the rows of table and students can say; of what was not run nothing is said."""
    methods = [m for m in METHODS if rows.has(table_name(m, ONE), baseline(m))]
    pairs = [(m, i) for m in methods for i in (ONE, FULL)]
    both = [m for m in methods if rows.has(table_name(m, ONE), table_name(m, FULL))]
    halves = rows.has(*(f"{table_name(m, i)}, {HALF}" for m, i in pairs if m in both))
    said = [beats_random(rows, method) for method in methods]
    said += [leads(rows, methods)] if methods else []
    if halves:
        said += [gap(rows, method, layer) for method in both for layer in EARLY]
        said += [wider(rows, method) for method in both]
    if rows.has(student_name(PHOTOGRAPH), student_name(NOISE)):
        said.append(teaches(rows))
    return said


def beats_random(rows: Rows, method: str) -> Finding:
    """(a), for one method: at every layer."""
    name = table_name(method, ONE)
    leads = [rows.lead(name, baseline(method), k) for k in range(rows.layers(name))]
    verdict = INTERVAL
    if all(lead.low > 0 for lead in leads):
        verdict = HOLDS
    elif any(lead.high < 0 for lead in leads):
        verdict = FAILS
    numbers = ", ".join(f"conv{k + 1} {lead}" for k, lead in enumerate(leads))
    return Finding("a", f"{name} beats random at every layer", verdict, numbers, widest(leads))


def leads(rows: Rows, methods: Sequence[str]) -> Finding:
    """(a), for the better of the methods: by at least 3 points at conv2."""
    lead = {m: rows.lead(table_name(m, ONE), baseline(m), 1) for m in methods}
    # A method of one seed is the better one only where there is no other.
    known = {m: one for m, one in lead.items() if one.half is not None} or lead
    top = max(known, key=lambda m: known[m].points)
    said = f"the better method ({METHODS[top]}) beats random by {LEAD:g} points at conv2"
    return Finding("a", said, _beyond(known[top], LEAD), str(known[top]), known[top].half)


def gap(rows: Rows, method: str, layer: int) -> Finding:
    """(b): one image is as good as the full set at this layer."""
    one, full = table_name(method, ONE), table_name(method, FULL)
    end, seeds = rows.ahead({full: 1, one: -1}, at(layer))
    half = rows.lead(f"{full}, {HALF}", f"{one}, {HALF}", layer)
    gain = rows.lead(full, f"{full}, {HALF}", layer)
    verdict = INTERVAL
    if end.low > 0:
        verdict = FAILS if end.points >= half.points else SHRINKS
    elif end.high < SAME:
        verdict = NOT_CONVERGED
        if gain.high < SAME:
            verdict = HOLDS if seeds >= SEEDS else FEW_SEEDS
    numbers = f"gap {end}; at half the updates {half}; from there the full set gains {gain}"
    said = f"{METHODS[method]}: no gap to the full set at conv{layer + 1}"
    return Finding("b", said, verdict, numbers, end.half)


def wider(rows: Rows, method: str) -> Finding:
    """(c): the gap is larger at the last layer than at conv2."""
    one, full = table_name(method, ONE), table_name(method, FULL)
    last = rows.layers(one) - 1

    def deeper(row: RowResult) -> float:
        return at(last)(row) - at(1)(row)

    end, _ = rows.ahead({full: 1, one: -1}, deeper)
    half, _ = rows.ahead({f"{full}, {HALF}": 1, f"{one}, {HALF}": -1}, deeper)
    verdict = INTERVAL
    if end.low > 0:
        verdict = HOLDS if end.points >= half.points else SHRINKS
    elif end.high < 0:
        verdict = FAILS
    gaps = [rows.lead(full, one, layer) for layer in (last, 1)]
    numbers = f"gaps {gaps[0]} and {gaps[1]}: {end}; at half the updates {half}"
    said = f"{METHODS[method]}: the gap is larger at conv{last + 1} than at conv2"
    return Finding("c", said, verdict, numbers, end.half)


def teaches(rows: Rows) -> Finding:
    """(e): a photograph teaches a student more than noise of the same size."""
    names = {student_name(PHOTOGRAPH): 1.0, student_name(NOISE): -1.0}
    lead, _ = rows.ahead(names, lambda one: one.facts["student"])
    said = f"the student of {PHOTOGRAPH} beats that of {NOISE} by {STUDENT:g} points"
    return Finding("e", said, _beyond(lead, STUDENT), str(lead), lead.half)


# --- the ablation --------------------------------------------------------------------------------


def augmentation_findings(rows: Rows) -> list[Finding]:
    """(d), of the rows of the ablation and the random one, at conv2 and at the last layer."""
    none, single, whole = ablation_name(()), "scale", ablation_name(None)
    if not rows.has(none, single, whole, RANDOM):
        return []
    said, others = [], [name for name in rows.runs if name not in (RANDOM, whole)]
    for layer in (1, rows.layers(whole) - 1):
        lead = rows.lead(none, RANDOM, layer)
        verdict = HOLDS if lead.high < NOTHING else FAILS if lead.low > NOTHING else INTERVAL
        words = f"no augmentation is not over {NOTHING:g} points better than random"
        said += [
            Finding("d", f"{words} at conv{layer + 1}", verdict, str(lead), lead.half),
            best(rows, single, ("jitter", "rotation"), layer, "scale is the best single factor"),
            best(rows, whole, others, layer, "all three factors together are best"),
        ]
    return said


def best(rows: Rows, name: str, others: Sequence[str], layer: int, said: str) -> Finding:
    """(d): a row of the ablation is above these others."""
    leads = {other: rows.lead(name, other, layer) for other in others}
    verdict = INTERVAL
    if all(lead.low > 0 for lead in leads.values()):
        verdict = HOLDS
    elif any(lead.high < 0 for lead in leads.values()):
        verdict = FAILS
    least = min(leads, key=lambda other: leads[other].points)
    numbers = f"{leads[least]} to the next, {least}"
    return Finding(
        "d", f"{said} at conv{layer + 1}", verdict, numbers, widest(list(leads.values()))
    )


def widest(leads: Sequence[Difference]) -> float | None:
    """The largest half-width of several; None where one is not known."""
    halves = [lead.half for lead in leads if lead.half is not None]
    return max(halves) if len(halves) == len(leads) else None


def _beyond(lead: Difference, bound: float) -> str:
    return HOLDS if lead.low > bound else FAILS if lead.high < bound else INTERVAL
