"""Rows, and what they are said to show: each verdict of each finding, at its threshold."""

from __future__ import annotations

import json

import pytest
from omegaconf import OmegaConf
from PIL import Image

from singleimg.config import CONF
from singleimg.errors import UserError
from singleimg.probe.scores import LayerScore, RunScore
from singleimg.study import report
from singleimg.study.findings import FAILS, HOLDS, OPEN, UNDECIDED, Rows, Value, findings, value
from singleimg.study.plan import (
    ABLATION,
    FULL,
    METHODS,
    ONE,
    RANDOM,
    THIRDS,
    Row,
    ablation_name,
    rows_of,
    table_name,
)
from singleimg.study.rows import Made

BUDGETS = {name: OmegaConf.to_container(OmegaConf.load(CONF / "budget" / f"{name}.yaml"))
           for name in ("cpu", "gpu", "smoke")}  # fmt: skip
ROTNET_ONE, ROTNET_FULL = table_name("rotnet", ONE), table_name("rotnet", FULL)


def made(
    name: str, *runs: list[float], early: dict[float, list[float]] | None = None
) -> list[Made]:
    """Runs of a row, by their accuracies in percent at each layer; ``early``: by fraction."""

    def score(values: list[float], seed: int) -> RunScore:
        layers = [LayerScore(k + 1, one / 100, 0.01, 0.5) for k, one in enumerate(values)]
        return RunScore(name, seed, "cifar10", tuple(layers))

    return [
        Made(Row(name, seed, ()), score(values, seed),
             {part: score(one, seed) for part, one in (early or {}).items()}, 1.0, {})
        for seed, values in enumerate(runs)
    ]  # fmt: skip


def spread(name: str, *means: float, early: dict[float, list[float]] | None = None) -> list[Made]:
    """Three runs about these means, 0.1 points apart: a standard error of 0.058."""
    runs = [[mean + change for mean in means] for change in (-0.1, 0, 0.1)]
    return made(name, *runs, early=early)


def said(table: list[Made], ablation: list[Made] = ()) -> dict[str, str]:
    """The verdict of each finding, by its words."""
    return {one.said: one.verdict for one in findings(Rows(table), Rows(ablation))}


# --- rows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", BUDGETS)
def test_one_image_and_the_full_set_get_equal_updates(budget):
    rows, _ = rows_of(["table", "ablation"], BUDGETS[budget])
    for method in METHODS:
        one = [row for row in rows if row.name == table_name(method, ONE)]
        full = [row for row in rows if row.name == table_name(method, FULL)]
        assert len(one) == len(full) == BUDGETS[budget][method]["seeds"]
        for first, second in zip(one, full, strict=True):
            renamed = [text.replace("train.images", "num_imgs") for text in second.overrides]
            assert list(first.overrides) == renamed and second.full and not first.full


def test_the_cpu_budget_is_the_one_that_is_written_about():
    rotnet, deep, gan = (BUDGETS["cpu"][name] for name in ("rotnet", "deepcluster", "bigan"))
    assert {"method.updates=3600", "method.batch_size=32"} <= set(rotnet["overrides"])
    assert {"method.k=200", "method.epochs=6"} <= set(deep["overrides"])
    assert (deep["images"], rotnet["seeds"], deep["seeds"], gan["seeds"]) == (25000, 3, 3, 1)
    assert {"method.loss=wgan_gp", "method.updates=2000"} <= set(gan["overrides"])


def test_the_ablation_is_every_subset_of_three_factors_off_and_on():
    _, ablation = rows_of(["table", "ablation"], BUDGETS["cpu"])
    off = {"deg=0": "rotation", "scale=null": "scale", "augment.jitter=0": "jitter"}
    for row in ablation:
        factors = {off[text] for text in row.overrides if text in off}
        left = [] if row.name == "none" else row.name.split("+")
        assert factors == {"rotation", "scale", "jitter"} - set(left)
    assert len({row.name for row in ablation}) == 7 and len(ablation) == 21
    assert [ablation_name(one) for one in ABLATION][-1] == "all"  # a row of the table


def test_the_ablation_alone_needs_random_and_all_three_factors():
    rows, ablation = rows_of(["ablation"], BUDGETS["cpu"])
    assert {row.name for row in rows} == {RANDOM, table_name("deepcluster", ONE)} and ablation
    assert rows_of(["table"], BUDGETS["cpu"])[1] == []


@pytest.mark.parametrize("parts", [["tabel"], []])
def test_unknown_parts_are_refused(parts):
    with pytest.raises(UserError, match="is not of table, ablation: type for example"):
        rows_of(parts, BUDGETS["cpu"])


# --- differences ---------------------------------------------------------------------------------


def test_errors_are_those_of_means_and_add_in_squares():
    first, second = value([50, 52, 54]), value([49, 49.5, 50])
    assert first.points == 52 and first.error == pytest.approx(2 / 3**0.5)
    difference = first - second
    assert difference.points == 2.5
    assert difference.error == pytest.approx((4 / 3 + 0.25 / 3) ** 0.5)
    assert (value([50]) - second).error is None


def test_under_two_standard_errors_nothing_is_sure():
    assert Value(2.01, 1).above() and not Value(1.99, 1).above()
    assert Value(-2.01, 1).below() and not Value(-1.99, 1).below()
    assert Value(5.01, 1).above(3) and not Value(4.99, 1).above(3)
    assert not Value(50, None).above() and not Value(-50, None).below()


# --- findings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("one", "verdict"), [
    ([52, 53, 50], HOLDS), ([52, 53, 40], FAILS), ([52, 53, 44.05], OPEN),
])  # fmt: skip
def test_a_one_image_beats_random_at_every_layer(one, verdict):
    table = [*spread(RANDOM, 50, 48, 44), *spread(ROTNET_ONE, *one)]
    assert said(table)[f"{ROTNET_ONE} beats random at every layer"] == verdict


def test_a_one_seed_resolves_nothing():
    table = [*spread(RANDOM, 50, 48), *made(ROTNET_ONE, [60, 60])]
    assert set(said(table).values()) == {OPEN}


@pytest.mark.parametrize(("second", "verdict"), [(51.1, HOLDS), (50.9, FAILS)])
def test_a_the_best_method_leads_by_three_points_at_conv2(second, verdict):
    table = [*spread(RANDOM, 50, 48), *spread(ROTNET_ONE, 51, second),
             *spread(table_name("deepcluster", ONE), 51, 49)]  # fmt: skip
    words = "the best method (RotNet) beats random by 3 points at conv2"
    assert said(table)[words] == verdict


@pytest.mark.parametrize(("full", "before", "verdict"), [
    (50.2, 50.0, HOLDS),  # surely under a point
    (50.95, 50.9, OPEN),  # over nothing, perhaps under a point
    (52.0, 51.5, FAILS),
    (52.0, 50.5, UNDECIDED),  # it still gains over a point
    (49.0, 48.9, HOLDS),  # one image is better
])  # fmt: skip
def test_b_there_is_no_gap_to_the_full_set(full, before, verdict):
    thirds = {third: [before, before] for third in THIRDS}
    table = [*spread(RANDOM, 40, 40), *spread(ROTNET_ONE, 50, 50, early=thirds),
             *spread(ROTNET_FULL, full, full, early=thirds)]  # fmt: skip
    answer = said(table)["RotNet: no gap to the full set at conv1"]
    if full == 50.95:  # 0.95 ± 0.08: neither surely under one, but surely over nothing
        assert answer == FAILS
    else:
        assert answer == verdict


@pytest.mark.parametrize(("last", "verdict"), [(55, HOLDS), (51, FAILS), (52.05, OPEN)])
def test_c_the_gap_is_larger_at_the_last_layer(last, verdict):
    thirds = {third: [50, 52] for third in THIRDS}
    table = [*spread(RANDOM, 40, 40, 40), *spread(ROTNET_ONE, 50, 50, 50, early=thirds),
             *spread(ROTNET_FULL, 50, 52, last, early=thirds)]  # fmt: skip
    assert said(table)["RotNet: the gap is larger at conv3 than at conv2"] == verdict


NAMES = [ablation_name(one) for one in ABLATION]


def ablation(**points: float) -> list[Made]:
    """Eight rows of two layers; those not named have 50 points."""
    return [run for name in NAMES
            for run in spread(name, 50, points.get(name.replace("+", "_"), 50))]  # fmt: skip


def test_d_holds_where_all_three_are_best_scale_the_best_alone_and_none_is_random():
    table = spread(RANDOM, 50, 49.5)
    best = {"all": 60, "scale": 55, "jitter_scale": 58, "rotation_scale": 57}
    verdicts = said(table, ablation(**best))
    assert set(verdicts.values()) == {HOLDS}
    assert len(verdicts) == 3  # of conv2, which is the last layer here


@pytest.mark.parametrize(("rows", "words", "verdict"), [
    ({"none": 52}, "no augmentation is not over 2 points better than random at conv2", FAILS),
    ({"none": 51.5}, "no augmentation is not over 2 points better than random at conv2", OPEN),
    ({"scale": 55, "jitter": 56}, "scale is the best single factor at conv2", FAILS),
    ({"scale": 55, "jitter": 55}, "scale is the best single factor at conv2", OPEN),
    ({"all": 60, "jitter_scale": 61}, "all three factors together are best at conv2", FAILS),
    ({"all": 60, "scale": 60}, "all three factors together are best at conv2", OPEN),
])  # fmt: skip
def test_d_fails_or_is_not_resolved(rows, words, verdict):
    assert said(spread(RANDOM, 50, 49.5), ablation(**rows))[words] == verdict


# --- report --------------------------------------------------------------------------------------


def test_a_report_is_a_table_scores_a_record_and_a_figure(tmp_path):
    pytest.importorskip("matplotlib")
    thirds = {third: [50, 52] for third in THIRDS}
    table = [*spread(RANDOM, 40, 40), *spread(ROTNET_ONE, 50, 50, early=thirds)]
    verdicts = findings(Rows(table), Rows([]))
    text = report.write(tmp_path, table, ablation(), verdicts, "The control.")
    assert text == (tmp_path / "table.md").read_text()
    assert text.startswith("The control.\n\n| | conv1 | conv2 | seeds | minutes a run |\n")
    assert "| RotNet, one image | 50.0 ± 0.1 | 50.0 ± 0.1 | 3 | 1.0 |" in text
    assert f"- {verdicts[0]}" in text and str(verdicts[0]) == (
        "(a) RotNet, one image beats random at every layer: holds [conv1 +10.0 ± 0.1, conv2 +10.0 "
        "± 0.1]"
    )
    record = json.loads((tmp_path / "study.json").read_text())
    assert len(record["rows"]) == 6 and len(record["ablation"]) == 24
    assert record["rows"][3]["early"]["0.33"]["layers"][1]["accuracy"] == 0.52
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 1 + 2 * 30
    with Image.open(tmp_path / "figure.png") as figure:
        assert figure.size == (1650, 675)
