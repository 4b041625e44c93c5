"""The findings: when each holds, when it does not, and when it is undecided, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from singleimg.learn.probes.scores import LayerScore, RunScore
from singleimg.learn.study.design import FULL, HALF, ONE, RANDOM, Row, student_name, table_name
from singleimg.learn.study.findings import (
    FAILS,
    FEW_SEEDS,
    HOLDS,
    INTERVAL,
    NOT_CONVERGED,
    SHRINKS,
    Finding,
    Rows,
    augmentation_findings,
    findings,
)
from singleimg.learn.study.row_run import RowResult

ROT, ROT_FULL = table_name("rotnet", ONE), table_name("rotnet", FULL)
SIM, SIM_FULL = table_name("simclr", ONE), table_name("simclr", FULL)
# Each pair of rows differs by another 0.2 between seeds 0 and 1, 1 and 2: half-width 0.34.
JITTER = {ROT: 0.0, SIM: 0.0, ROT_FULL: 0.2, SIM_FULL: 0.2, RANDOM: -0.2}
HALF_WIDTH = 0.3372


def row(name: str, *points: float, seeds: int = 3, **facts: float) -> list[RowResult]:
    """Runs of a row, by the mean of their accuracies in percent."""
    jitter = JITTER.get(name.removesuffix(f", {HALF}"), 0.1 * (len(name) % 5))
    made = []
    for seed in range(seeds):
        by = jitter * (seed - (seeds - 1) / 2) + 0.5 * (seed % 2)  # the latter in all rows alike
        layers = tuple(LayerScore(k + 1, (one + by) / 100, 0.01) for k, one in enumerate(points))
        own = {key: (value + by) / 100 for key, value in facts.items()}
        score = RunScore(name, seed, "cifar10", layers)
        made.append(RowResult(Row(name, seed, ()), score, None, own, 1.0))
    return made


def table(
    one: Sequence[float], full: Sequence[float], one_half: Sequence[float],
    full_half: Sequence[float], random: Sequence[float] = (40, 40, 40), seeds: int = 3,
) -> list[RowResult]:  # fmt: skip
    rows = {RANDOM: random, ROT: one, ROT_FULL: full, f"{ROT}, {HALF}": one_half,
            f"{ROT_FULL}, {HALF}": full_half}  # fmt: skip
    return [run for name, points in rows.items() for run in row(name, *points, seeds=seeds)]


def moved(
    made: list[RowResult], name: str, by: Sequence[float], only: int | None = None
) -> list[RowResult]:
    """The same, with so many points more for each seed of a row (at one layer only, 1 …)."""

    def at(one: RowResult) -> RowResult:
        if one.row.name != name or one.score is None:
            return one
        layers = [
            replace(layer, accuracy=layer.accuracy + by[one.row.seed] / 100)
            if only in (None, layer.layer) else layer
            for layer in one.score.layers
        ]  # fmt: skip
        return replace(one, score=replace(one.score, layers=tuple(layers)))

    return [at(one) for one in made]


def found(letter: str, words: str, made: list[RowResult]) -> Finding:
    """The one finding whose statement ends so."""
    (one,) = [
        one for one in findings(Rows(made)) if one.letter == letter and one.said.endswith(words)
    ]
    return one


# --- (a) one image beats random ------------------------------------------------------------------


@pytest.mark.parametrize(("lead", "verdict"), [
    (HALF_WIDTH + 0.01, HOLDS), (HALF_WIDTH - 0.01, INTERVAL), (0, INTERVAL),
    (-HALF_WIDTH + 0.01, INTERVAL), (-HALF_WIDTH - 0.01, FAILS),
])  # fmt: skip
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_every_layer_counts(layer: int, lead: float, verdict: str) -> None:
    points = [50.0, 50.0, 50.0]
    points[layer] = 40 + lead
    one = found("a", "RotNet, one image beats random at every layer",
                [*row(RANDOM, 40, 40, 40), *row(ROT, *points)])  # fmt: skip
    assert one.verdict == verdict
    assert one.resolves == pytest.approx(HALF_WIDTH, abs=1e-3)


def test_a_pairs_are_of_one_seed() -> None:
    """What all rows of a seed have in common does not count, be it many points."""
    made = [*row(RANDOM, 40, 40), *row(ROT, 41, 41)]
    for name in (RANDOM, ROT):
        made = moved(made, name, [0, 9, 18])
    assert found("a", "RotNet, one image beats random at every layer", made).verdict == HOLDS


def test_a_of_one_seed_nothing_is_decided() -> None:
    made = [*row(RANDOM, 40, 40), *row(ROT, 90, 90, seeds=1)]
    one = found("a", "beats random at every layer", made)
    assert (one.verdict, one.resolves) == (INTERVAL, None)


@pytest.mark.parametrize(("lead", "verdict"), [
    (3.4, HOLDS), (3.1, INTERVAL), (2.9, INTERVAL), (2.6, FAILS),
])  # fmt: skip
def test_a_the_better_method_is_to_be_ahead_by_three_points_at_conv2(
    lead: float, verdict: str
) -> None:
    made = [*row(RANDOM, 40, 40), *row(ROT, 41, 41), *row(SIM, 41, 40 + lead)]
    assert found("a", "the better method (SimCLR) beats random by 3 points at conv2",
                 made).verdict == verdict  # fmt: skip


# --- (b) no gap to the full set ------------------------------------------------------------------


def gap(gap: float, at_half: float, gain: float, seeds: int = 3) -> str:
    """The verdict at conv2, by the gaps and by what the full set gains from half its updates."""
    made = table((50, 50), (50, 50 + gap), (49, 50 + gap - gain - at_half), (49, 50 + gap - gain),
                 seeds=seeds)  # fmt: skip
    return found("b", "RotNet: no gap to the full set at conv2", made).verdict


def test_b_there_is_a_gap_though_the_full_set_is_not_converged() -> None:
    assert gap(2.0, at_half=1.0, gain=5) == FAILS


def test_b_a_gap_that_shrinks_may_close() -> None:
    assert gap(2.0, at_half=2.5, gain=0) == SHRINKS


def test_b_no_gap_is_said_of_five_seeds_and_a_full_set_that_is_converged() -> None:
    assert gap(0.0, at_half=0.0, gain=0.0, seeds=5) == HOLDS
    assert gap(0.0, at_half=0.0, gain=0.0, seeds=3) == FEW_SEEDS


@pytest.mark.parametrize("seeds", [3, 5])
def test_b_no_gap_is_not_said_of_a_full_set_that_still_gains(seeds: int) -> None:
    """As at 3,600 updates of 32: no gap then, and 2.9 points at 18,000."""
    assert gap(0.0, at_half=0.0, gain=1.5, seeds=seeds) == NOT_CONVERGED


def test_b_a_gain_that_may_be_a_point_counts_as_one() -> None:
    made = table((50, 50), (50, 50), (50, 50), (50, 50), seeds=5)
    made = moved(made, f"{ROT_FULL}, {HALF}", [-1, 1, -1, 1, -1])
    assert found("b", "at conv2", made).verdict == NOT_CONVERGED


def test_b_in_between_nobody_knows() -> None:
    assert gap(0.8, at_half=0, gain=0, seeds=3) == FAILS  # surely above 0
    assert gap(0.3, at_half=0, gain=0, seeds=3) == FEW_SEEDS  # surely under 1
    made = table((50, 50), (50, 50.9), (50, 50), (50, 50))
    made = moved(made, ROT_FULL, [-1, 0, 1])
    one = found("b", "at conv2", made)
    assert one.verdict == INTERVAL and one.resolves > 1.5


def test_b_without_trainings_at_half_nothing_is_said() -> None:
    made = [one for one in table((50, 50), (60, 60), (0, 0), (0, 0)) if HALF not in one.row.name]
    assert {one.letter for one in findings(Rows(made))} == {"a"}


# --- (c) the gap widens --------------------------------------------------------------------------


@pytest.mark.parametrize(("last", "last_at_half", "verdict"), [
    (5, 4, HOLDS), (5, 5.1, SHRINKS), (2, 1, INTERVAL), (1, 1, FAILS),
])  # fmt: skip
def test_c_the_gap_at_the_last_layer_against_that_at_conv2(
    last: float, last_at_half: float, verdict: str
) -> None:
    """The gap at conv2 is 2, at both lengths."""
    made = table((50, 50, 50), (50, 52, 50 + last), (50, 50, 50), (50, 52, 50 + last_at_half))
    made = moved(made, ROT_FULL, [-0.2, 0, 0.2], only=3)  # else the gaps vary alike
    assert found("c", "RotNet: the gap is larger at conv3 than at conv2", made).verdict == verdict


# --- (e) students --------------------------------------------------------------------------------


@pytest.mark.parametrize(("lead", "verdict"), [
    (10.6, HOLDS), (10.1, INTERVAL), (9.9, INTERVAL), (9.4, FAILS),
])  # fmt: skip
def test_e_the_student_of_a_photograph_against_that_of_noise(lead: float, verdict: str) -> None:
    made = [*row(student_name("ameyoko"), student=60 + lead),
            *row(student_name("noise"), student=60)]  # fmt: skip
    assert found("e", "beats that of noise by 10 points", made).verdict == verdict


# --- all together --------------------------------------------------------------------------------


def test_two_methods_with_students_are_ten_statements_in_this_order() -> None:
    made = table((50, 50, 50), (55, 55, 55), (50, 50, 50), (55, 55, 55))
    for one in list(made):
        if "RotNet" in one.row.name:
            name = one.row.name.replace("RotNet", "SimCLR")
            made.append(RowResult(Row(name, one.row.seed, ()), one.score, None, {}, 1))
    made += [*row(student_name("ameyoko"), student=70), *row(student_name("noise"), student=50)]
    assert [one.letter for one in findings(Rows(made))] == [*"aaa", *"bbbb", *"cc", "e"]


def test_of_nothing_nothing_is_said() -> None:
    assert findings(Rows([])) == [] and augmentation_findings(Rows([])) == []


def test_a_finding_is_a_line() -> None:
    one = Finding("a", "x beats y", HOLDS, "+1.0 ± 0.2", 0.2)
    assert str(one) == "(a) x beats y: holds [+1.0 ± 0.2]" and one.decided
    assert not Finding("a", "x", SHRINKS, "", None).decided


# --- (d) the ablation ----------------------------------------------------------------------------

FACTORS = ("none", "jitter", "rotation", "scale", "rotation+jitter", "rotation+scale",
           "jitter+scale", "all")  # fmt: skip


def ablation(**points: float) -> list[str]:
    """The verdicts, at conv2 and at the last layer; what is not named is 45."""
    made = row(RANDOM, 40, 40, 40)
    for name in FACTORS:
        own = points.get(name.replace("+", "_"), 45)
        made += row(name, 40, own, own)
    return [one.verdict for one in augmentation_findings(Rows(made))]


def test_d_the_papers_picture() -> None:
    assert ablation(none=40, scale=50, all=60) == [HOLDS] * 6


def test_d_the_opposite() -> None:
    assert ablation(none=50, jitter=55, scale=45, all=41) == [FAILS] * 6


def test_d_what_is_not_resolved() -> None:
    assert ablation(none=42, scale=45, all=45) == [INTERVAL] * 6
