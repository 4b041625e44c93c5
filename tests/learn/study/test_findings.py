"""The findings: when each holds, when it does not, and when nobody can know."""

from __future__ import annotations

from math import sqrt

import pytest

from singleimg.learn.probes.scores import LayerScore, RunScore
from singleimg.learn.study.design import (
    FULL,
    METHODS,
    ONE,
    RANDOM,
    RANDOM_CRITIC,
    THIRDS,
    Row,
    table_name,
)
from singleimg.learn.study.findings import (
    FAILS,
    HOLDS,
    OPEN,
    UNDECIDED,
    Finding,
    Rows,
    findings,
)
from singleimg.learn.study.row_run import RowResult

Early = dict[float, tuple[float, ...]]
ONES = {method: table_name(method, ONE) for method in METHODS}
FULLS = {method: table_name(method, FULL) for method in METHODS}


def run_score(name: str, seed: int, points: tuple[float, ...]) -> RunScore:
    layers = [LayerScore(k + 1, one / 100, 0.01) for k, one in enumerate(points)]
    return RunScore(name, seed, "cifar10", tuple(layers))


def made(name: str, *points: float, seed: int = 0, early: Early | None = None) -> RowResult:
    """One run, by its accuracies in percent."""
    parts = {part: run_score(name, seed, one) for part, one in (early or {}).items()}
    return RowResult(Row(name, seed, ()), run_score(name, seed, points), parts, 1.0, {})


CHANGES = (-0.3, 0.0, 0.3)  # of three seeds
ERROR = 0.3 / sqrt(3)  # of their mean
TWO = 2 * sqrt(2) * ERROR  # two standard errors of the difference of two rows: 0.49 points


def three(name: str, *points: float, early: Early | None = None) -> list[RowResult]:
    """Three runs about these accuracies."""
    return [
        made(name, *(one + change for one in points), seed=seed,
             early={part: tuple(one + change for one in ones)
                    for part, ones in (early or {}).items()})
        for seed, change in enumerate(CHANGES)
    ]  # fmt: skip


def thirds(first: float, second: float) -> Early:
    """The same at both early layers."""
    return {THIRDS[0]: (first, first), THIRDS[1]: (second, second)}


def found(
    letter: str, words: str, table: list[RowResult], ablation: list[RowResult] | None = None
) -> str:
    """The verdict of the one finding whose statement ends so."""
    said = findings(Rows(table), Rows(ablation or []))
    (one,) = [one for one in said if one.letter == letter and one.said.endswith(words)]
    return one.verdict


# --- rows ----------------------------------------------------------------------------------------


def test_rows_are_read_over_their_seeds_in_points_at_the_end_or_at_a_third() -> None:
    rows = Rows([*three(RANDOM, 40, 50), *three("x", 60, 70, early=thirds(20, 30))])
    assert rows.has(RANDOM, "x") and not rows.has(RANDOM, "y") and rows.layers("x") == 2
    assert rows.at("x", 1).points == pytest.approx(70)
    assert rows.at("x", 1).error == pytest.approx(ERROR)
    assert rows.at("x", 0, THIRDS[0]).points == pytest.approx(20)
    assert rows.at("x", 1, THIRDS[1]).points == pytest.approx(30)


# --- (a) one image beats random ------------------------------------------------------------------


@pytest.mark.parametrize(("lead", "verdict"), [
    (TWO + 0.01, HOLDS), (TWO - 0.01, OPEN), (0, OPEN), (-TWO + 0.01, OPEN), (-TWO - 0.01, FAILS),
])  # fmt: skip
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_every_layer_counts(layer: int, lead: float, verdict: str) -> None:
    points = [60.0, 60.0, 60.0]
    points[layer] = 50 + lead
    table = [*three(RANDOM, 50, 50, 50), *three(ONES["rotnet"], *points)]
    assert found("a", "RotNet, one image beats random at every layer", table) == verdict


def test_a_one_layer_below_random_outweighs_one_that_is_not_resolved() -> None:
    table = [*three(RANDOM, 50, 50, 50), *three(ONES["rotnet"], 60, 50, 40)]
    assert found("a", "beats random at every layer", table) == FAILS


@pytest.mark.parametrize("points", [90, 10])
def test_a_of_one_seed_nothing_is_resolved(points: float) -> None:
    for table in (
        [*three(RANDOM, 50, 50), made(ONES["rotnet"], points, points)],
        [made(RANDOM, 50, 50), *three(ONES["rotnet"], points, points)],
    ):
        assert found("a", "beats random at every layer", table) == OPEN


def test_a_the_gan_is_compared_with_its_own_trunk() -> None:
    gan = three(ONES["bigan"], 50, 50)
    table = [*three(RANDOM, 60, 60), *three(RANDOM_CRITIC, 40, 40), *gan]
    assert found("a", "MonoGAN, one image beats random at every layer", table) == HOLDS
    table = [*three(RANDOM, 40, 40), *three(RANDOM_CRITIC, 60, 60), *gan]
    assert found("a", "MonoGAN, one image beats random at every layer", table) == FAILS


BEST = "the best method ({}) beats random by 3 points at conv2"


@pytest.mark.parametrize(("lead", "verdict"), [
    (3 + TWO + 0.01, HOLDS), (3 + TWO - 0.01, OPEN), (3 - TWO + 0.01, OPEN),
    (3 - TWO - 0.01, FAILS), (-TWO - 0.01, FAILS),
])  # fmt: skip
def test_a_the_best_method_leads_by_three_points_at_conv2(lead: float, verdict: str) -> None:
    table = [*three(RANDOM, 50, 50, 50), *three(ONES["rotnet"], 90, 50 + lead, 90),
             *three(ONES["deepcluster"], 90, 45, 90)]  # fmt: skip
    assert found("a", BEST.format("RotNet"), table) == verdict


def wide(name: str, *points: float) -> list[RowResult]:
    """Three runs 9 points apart: two standard errors of a difference of two are 14.7 points."""
    return [made(name, *(point + change for point in points), seed=seed)
            for seed, change in enumerate((-9, 0, 9))]  # fmt: skip


@pytest.mark.parametrize(("lead", "verdict"), [
    (18, HOLDS), (17, OPEN), (3.5, OPEN), (2.5, OPEN), (-11, OPEN), (-12, FAILS),
])  # fmt: skip
def test_a_a_lead_under_two_standard_errors_is_not_resolved(lead: float, verdict: str) -> None:
    table = [*wide(RANDOM, 50, 50), *wide(ONES["rotnet"], 90, 50 + lead)]
    assert found("a", BEST.format("RotNet"), table) == verdict


def test_a_a_method_of_one_seed_is_the_best_only_where_there_is_no_other() -> None:
    gan = [*three(RANDOM_CRITIC, 50, 50), made(ONES["bigan"], 90, 90)]
    table = [*three(RANDOM, 50, 50), *three(ONES["rotnet"], 54, 54), *gan]
    assert found("a", BEST.format("RotNet"), table) == HOLDS
    assert found("a", BEST.format("MonoGAN"), gan) == OPEN


# --- (b) no gap to the full set ------------------------------------------------------------------


def gap_table(gap: float, gain: float = 0.0) -> list[RowResult]:
    """RotNet, whose full set ends ``gap`` points above one image, after this gain in a third."""
    end = 50 + gap
    return [
        *three(RANDOM, 40, 40),
        *three(ONES["rotnet"], 50, 50, early=thirds(45, 50)),
        *three(FULLS["rotnet"], end, end, early=thirds(47, end - gain)),
    ]


@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize(("gap", "verdict"), [
    (1 - TWO - 0.01, HOLDS),  # surely under a point
    (0, HOLDS),
    (-5, HOLDS),  # one image is better
    (TWO - 0.01, HOLDS),  # nor is it surely over none
    (1 - TWO + 0.01, FAILS),  # not surely under a point, but surely over none
    (1, FAILS),
    (5, FAILS),
])  # fmt: skip
def test_b_no_gap_is_one_surely_under_a_point(layer: int, gap: float, verdict: str) -> None:
    assert found("b", f"RotNet: no gap to the full set at conv{layer}", gap_table(gap)) == verdict


@pytest.mark.parametrize(("gap", "verdict"), [(0.5, OPEN), (-13, OPEN), (14, OPEN), (15, FAILS)])
def test_b_of_runs_far_apart_no_gap_is_resolved(gap: float, verdict: str) -> None:
    one, full = wide(ONES["rotnet"], 50, 50), wide(FULLS["rotnet"], 50 + gap, 50 + gap)
    for run in [*one, *full]:
        run.early.update({third: run.score for third in THIRDS})
    table = [*wide(RANDOM, 40, 40), *one, *full]
    assert found("b", "no gap to the full set at conv1", table) == verdict


@pytest.mark.parametrize("gap", [-5, 0, 5])
def test_b_is_undecided_while_the_full_set_gains_over_a_point_in_the_last_third(
    gap: float,
) -> None:
    words = "no gap to the full set at conv2"
    assert found("b", words, gap_table(gap, gain=1.01)) == UNDECIDED
    assert found("b", words, gap_table(gap, gain=0.99)) == (FAILS if gap > 0 else HOLDS)
    assert found("b", words, gap_table(gap, gain=-3)) == (FAILS if gap > 0 else HOLDS)


def test_b_each_layer_by_itself() -> None:
    table = [
        *three(RANDOM, 40, 40),
        *three(ONES["rotnet"], 50, 50, early=thirds(50, 50)),
        *three(FULLS["rotnet"], 50, 60, early=thirds(50, 59.5)),
    ]
    assert found("b", "no gap to the full set at conv1", table) == HOLDS
    assert found("b", "no gap to the full set at conv2", table) == FAILS


@pytest.mark.parametrize("gap", [-5, 0, 5])
def test_b_of_one_seed_is_not_resolved_or_undecided(gap: float) -> None:
    end = 50.0 + gap
    one = made(ONES["rotnet"], 50, 50, early=thirds(50, 50))
    for before, verdict in ((end, OPEN), (end - 2, UNDECIDED)):
        full = made(FULLS["rotnet"], end, end, early=thirds(end, before))
        table = [*three(RANDOM, 40, 40), one, full]
        assert found("b", "no gap to the full set at conv1", table) == verdict


def test_b_says_the_gap_at_a_third_and_at_the_end_and_the_gain() -> None:
    said = findings(Rows(gap_table(3, gain=0.5)), Rows([]))
    numbers = {one.said: one.numbers for one in said}
    assert numbers["RotNet: no gap to the full set at conv1"] == (
        "gap +2.0 ± 0.2 at a third, +3.0 ± 0.2 at the end; full gains +0.5 ± 0.0 in the last third"
    )


# --- (c) the gap widens with depth ---------------------------------------------------------------

WIDER = 2 * TWO  # two standard errors of how much wider the gap of two fans is: 0.98 points


def fan(name: str, *points: float, early: Early) -> list[RowResult]:
    """Three runs that differ by twice as much at conv2 as at conv1, at conv4 by four times."""
    return [
        made(
            name, *(one + (k + 1) * change for k, one in enumerate(points)), seed=seed, early=early
        )
        for seed, change in enumerate(CHANGES)
    ]


@pytest.mark.parametrize(("more", "verdict"), [
    (WIDER + 0.01, HOLDS), (WIDER - 0.01, OPEN), (0, OPEN), (-WIDER + 0.01, OPEN),
    (-WIDER - 0.01, FAILS),
])  # fmt: skip
def test_c_the_last_gap_is_compared_with_that_at_conv2(more: float, verdict: str) -> None:
    table = [
        *three(RANDOM, 40, 40, 40, 40),
        *fan(ONES["rotnet"], 50, 50, 50, 50, early=thirds(50, 50)),
        *fan(FULLS["rotnet"], 99, 53, 1, 53 + more, early=thirds(50, 53)),
    ]
    assert found("c", "RotNet: the gap is larger at conv4 than at conv2", table) == verdict


def test_c_what_all_layers_of_a_run_have_in_common_is_no_error() -> None:
    table = [
        *three(RANDOM, 40, 40, 40, 40),
        *three(ONES["rotnet"], 50, 50, 50, 50, early=thirds(50, 50)),
        *three(FULLS["rotnet"], 50, 53, 50, 53.1, early=thirds(50, 53)),
    ]
    (one,) = [one for one in findings(Rows(table), Rows([])) if one.letter == "c"]
    assert one.verdict == HOLDS and one.numbers == "+3.1 ± 0.2 and +3.0 ± 0.2: +0.1 ± 0.0"


def test_c_of_one_seed_is_not_resolved() -> None:
    table = [
        *three(RANDOM, 40, 40, 40),
        made(ONES["rotnet"], 50, 50, 50, early=thirds(50, 50)),
        *three(FULLS["rotnet"], 50, 50, 90, early=thirds(50, 50)),
    ]
    assert found("c", "the gap is larger at conv3 than at conv2", table) == OPEN


# --- (d) the ablation ----------------------------------------------------------------------------

SUBSETS = ("none", "jitter", "rotation", "scale", "rotation+jitter", "rotation+scale",
           "jitter+scale", "all")  # fmt: skip
RANDOM_ROW = three(RANDOM, 30, 30, 30)


def ablation(**second: float) -> list[RowResult]:
    """Three layers, 50 points at each; ``second``: other ones at conv2 (``_`` for ``+``)."""
    points = {name.replace("_", "+"): one for name, one in second.items()}
    return [run for name in SUBSETS for run in three(name, 50, points.get(name, 50), 50)]


NOTHING = "no augmentation is not over 2 points better than random at conv{}"
SINGLE = "scale is the best single factor at conv{}"
TOGETHER = "all three factors together are best at conv{}"


@pytest.mark.parametrize(("lead", "verdict"), [
    (2 - TWO - 0.01, HOLDS), (0, HOLDS), (-9, HOLDS), (2 - TWO + 0.01, OPEN), (2, OPEN),
    (2 + TWO - 0.01, OPEN), (2 + TWO + 0.01, FAILS),
])  # fmt: skip
def test_d_nothing_is_learned_that_surely_leads_by_under_two_points(
    lead: float, verdict: str
) -> None:
    rows = ablation(none=30 + lead)
    assert found("d", NOTHING.format(2), RANDOM_ROW, rows) == verdict
    assert found("d", NOTHING.format(3), RANDOM_ROW, rows) == FAILS  # 50 there


@pytest.mark.parametrize("other", ["jitter", "rotation"])
@pytest.mark.parametrize(("lead", "verdict"), [
    (TWO + 0.01, HOLDS), (TWO - 0.01, OPEN), (-TWO + 0.01, OPEN), (-TWO - 0.01, FAILS),
])  # fmt: skip
def test_d_scale_is_compared_with_the_two_other_single_factors(
    other: str, lead: float, verdict: str
) -> None:
    rows = ablation(scale=60, jitter_scale=90, none=90, **{other: 60 - lead})
    assert found("d", SINGLE.format(2), RANDOM_ROW, rows) == verdict


@pytest.mark.parametrize("other", [name for name in SUBSETS if name != "all"])
@pytest.mark.parametrize(("lead", "verdict"), [
    (TWO + 0.01, HOLDS), (TWO - 0.01, OPEN), (-TWO + 0.01, OPEN), (-TWO - 0.01, FAILS),
])  # fmt: skip
def test_d_all_factors_are_compared_with_every_other_subset(
    other: str, lead: float, verdict: str
) -> None:
    rows = ablation(all=60, **{other.replace("+", "_"): 60 - lead})
    assert found("d", TOGETHER.format(2), RANDOM_ROW, rows) == verdict


def test_d_is_read_at_conv2_and_at_the_last_layer() -> None:
    said = findings(Rows(RANDOM_ROW), Rows(ablation(all=60, scale=55)))
    assert [one.said for one in said] == [
        words.format(layer) for layer in (2, 3) for words in (NOTHING, SINGLE, TOGETHER)
    ]
    assert [one.verdict for one in said] == [FAILS, HOLDS, HOLDS, FAILS, OPEN, OPEN]


def test_d_of_one_seed_is_not_resolved() -> None:
    rows = [made(name, 50, 90 if name in ("all", "scale") else 30) for name in SUBSETS]
    said = findings(Rows(RANDOM_ROW), Rows(rows))
    assert {one.verdict for one in said if one.letter == "d"} == {OPEN}


def test_d_names_the_row_that_comes_next() -> None:
    said = findings(Rows(RANDOM_ROW), Rows(ablation(all=60, scale=57)))
    numbers = {one.said: one.numbers for one in said}
    assert numbers[TOGETHER.format(2)] == "+3.0 ± 0.2 to the next, scale"


# --- which findings there are --------------------------------------------------------------------


def test_a_method_that_was_not_run_is_not_spoken_of() -> None:
    assert findings(Rows(RANDOM_ROW), Rows([])) == []
    said = findings(Rows([*RANDOM_ROW, *three(ONES["deepcluster"], 50, 50, 50)]), Rows([]))
    assert [(one.letter, one.said) for one in said] == [
        ("a", "DeepCluster, one image beats random at every layer"),
        ("a", BEST.format("DeepCluster")),
    ]


def test_a_whole_study_answers_the_four_questions_in_their_order() -> None:
    table = [*RANDOM_ROW, *three(RANDOM_CRITIC, 30, 30, 30)]
    for name in [*ONES.values(), *FULLS.values()]:
        table += three(name, 50, 50, 50, early=thirds(50, 50))
    said = findings(Rows(table), Rows(ablation()))
    assert "".join(one.letter for one in said) == "a" * 4 + "b" * 6 + "c" * 3 + "d" * 6


def test_without_random_rows_the_ablation_says_nothing() -> None:
    assert findings(Rows([]), Rows(ablation())) == []


def test_a_finding_is_one_line() -> None:
    assert str(Finding("a", "It is", HOLDS, "+3.0 ± 0.2")) == "(a) It is: holds [+3.0 ± 0.2]"
    assert (HOLDS, FAILS, OPEN, UNDECIDED) == (
        "holds", "does not hold", "not resolved", "undecided",
    )  # fmt: skip
