"""The rows of a study: their names, their seeds, and what is typed for each."""

from __future__ import annotations

from itertools import chain, combinations
from typing import Any

import pytest
from omegaconf import OmegaConf

from singleimg.config.compose import compose
from singleimg.config.location import CONF
from singleimg.errors import UserError
from singleimg.learn.study.design import (
    ABLATION,
    FULL,
    METHODS,
    ONE,
    Row,
    ablation_name,
    rows_of,
    table_name,
)

BUDGETS: dict[str, dict[str, Any]] = {}
for name in ("cpu", "gpu", "smoke"):
    loaded = OmegaConf.to_container(OmegaConf.load(CONF / "budget" / f"{name}.yaml"))
    BUDGETS[name] = loaded.get("budget", loaded)
CPU = BUDGETS["cpu"]
TABLE, FACTORS = rows_of(["table", "ablation"], CPU)


def called(name: str) -> list[Row]:
    return [row for row in [*TABLE, *FACTORS] if row.name == name]


# --- the table -----------------------------------------------------------------------------------


def test_the_rows_of_the_table_and_how_many_seeds_each_has() -> None:
    names = list(dict.fromkeys(row.name for row in TABLE))
    assert {name: [row.seed for row in called(name)] for name in names} == {
        "random": [0, 1, 2],
        "random (critic)": [0],
        "supervised": [0, 1, 2],
        "RotNet, one image": [0, 1, 2],
        "RotNet, full set": [0, 1, 2],
        "DeepCluster, one image": [0, 1, 2],
        "DeepCluster, full set": [0, 1, 2],
        "MonoGAN, one image": [0],
        "MonoGAN, full set": [0],
    }


def test_a_row_is_typed_with_its_budget_its_images_and_its_seed() -> None:
    assert called("random (critic)")[0].overrides == (
        "method=untrained", "method.norm=false", "method.slope=0.2", "num_imgs=250", "seed=0",
    )  # fmt: skip
    assert called("supervised")[2].overrides == (
        *CPU["supervised"]["overrides"], "task.images=50000", "seed=2",
    )  # fmt: skip


@pytest.mark.parametrize("budget", BUDGETS.values(), ids=BUDGETS)
@pytest.mark.parametrize("method", METHODS)
def test_one_image_and_the_full_set_differ_in_their_images_alone(
    method: str, budget: dict[str, Any]
) -> None:
    """So they have equal updates of equal batches, of as many images."""
    rows, _ = rows_of(["table"], budget)
    one, full = (
        [row for row in rows if row.name == table_name(method, images)] for images in (ONE, FULL)
    )
    count = budget[method]["images"]
    assert len(one) == budget[method]["seeds"]
    for first, second in zip(one, full, strict=True):
        assert first.seed == second.seed
        differ = set(first.overrides) ^ set(second.overrides)
        assert differ == {f"num_imgs={count}", f"task.images={count}"}
        assert f"num_imgs={count}" in first.overrides


@pytest.mark.parametrize("method", METHODS)
def test_one_image_and_the_full_set_are_trained_by_equal_settings(method: str) -> None:
    """Composed as ``task=pretrain`` composes them."""
    left, right = (
        compose("task=pretrain", "network=cifar_conv4", *called(table_name(method, k))[0]
                .overrides)
        for k in (ONE, FULL)
    )  # fmt: skip
    assert left.method == right.method and left.seed == right.seed
    assert left.num_imgs == right.task.images and left.task.images is None


def test_only_full_sets_and_supervision_see_labelled_images() -> None:
    full = {row.name for row in [*TABLE, *FACTORS] if row.full}
    assert full == {"supervised", *(table_name(method, FULL) for method in METHODS)}


def test_only_methods_are_followed_through_their_training() -> None:
    early = {row.name for row in [*TABLE, *FACTORS] if row.early}
    assert early == {table_name(method, k) for method in METHODS for k in (ONE, FULL)}


def test_no_row_stands_there_twice() -> None:
    rows = [*TABLE, *FACTORS]
    assert len({row.label for row in rows}) == len(set(rows)) == len(rows)
    assert called("random")[1].label == "random, seed 1"


# --- the ablation --------------------------------------------------------------------------------

OFF = {"rotation": "deg=0", "scale": "scale=null", "jitter": "augment.jitter=0"}


def test_the_ablation_is_the_eight_subsets_of_three_factors() -> None:
    subsets = chain.from_iterable(combinations(sorted(OFF), n) for n in range(4))
    assert len(ABLATION) == 8
    assert {frozenset(factors) for factors in ABLATION} == {frozenset(one) for one in subsets}


def test_subsets_are_named_by_what_is_on() -> None:
    assert [ablation_name(factors) for factors in ABLATION] == [
        "none", "jitter", "rotation", "scale", "rotation+jitter", "rotation+scale", "jitter+scale",
        "all",
    ]  # fmt: skip


@pytest.mark.parametrize("factors", ABLATION[:-1])
def test_what_is_not_named_is_turned_off_and_nothing_else_is_changed(factors: tuple) -> None:
    whole = called("DeepCluster, one image")
    rows = called(ablation_name(factors))
    assert [row.seed for row in rows] == [0, 1, 2]
    for row, same in zip(rows, whole, strict=True):
        off = {text for factor, text in OFF.items() if factor not in factors}
        assert set(row.overrides) - set(same.overrides) == off
        assert set(same.overrides) <= set(row.overrides)
        assert len(row.overrides) == len(same.overrides) + len(off)


def test_the_eight_trainings_are_all_different() -> None:
    overrides = {row.overrides for row in FACTORS if row.seed == 0}
    overrides.add(called("DeepCluster, one image")[0].overrides)
    assert len(overrides) == 8


@pytest.mark.parametrize("name", ["none", "jitter", "rotation", "scale", "rotation+scale"])
def test_a_factor_that_is_off_is_off_in_what_is_composed(name: str) -> None:
    common = ("task=pretrain", "augment=paper", "network=cifar_conv4", "img_size=32")
    cfg = compose(*common, *called(name)[0].overrides)
    whole = compose(*common, *called("DeepCluster, one image")[0].overrides)
    assert (cfg.deg != 0) == ("rotation" in name)
    assert (cfg.scale is not None) == ("scale" in name)
    assert (cfg.augment.jitter > 0) == ("jitter" in name)
    assert whole.deg == 35 and whole.scale == [1000, 1] and whole.augment.jitter == 1


# --- parts ---------------------------------------------------------------------------------------


def test_the_table_alone_has_no_ablation() -> None:
    assert rows_of(["table"], CPU) == (TABLE, [])


def test_the_ablation_alone_has_the_two_rows_that_it_is_compared_with() -> None:
    rows, factors = rows_of(["ablation"], CPU)
    assert rows == [*called("random"), *called("DeepCluster, one image")]
    assert factors == FACTORS and len(factors) == 7 * 3


def test_the_order_in_which_parts_are_named_says_nothing() -> None:
    assert rows_of(["ablation", "table"], CPU) == (TABLE, FACTORS)


@pytest.mark.parametrize(("parts", "shown"), [
    ([], "[]"), (["tabel"], "[tabel]"), (["table", "x"], "[table,x]"),
])  # fmt: skip
def test_other_parts_and_none_at_all_are_refused(parts: list[str], shown: str) -> None:
    with pytest.raises(UserError) as mistake:
        rows_of(parts, CPU)
    assert str(mistake.value) == (
        f"task.parts={shown} is not a list of table, ablation: type for example "
        "'task.parts=[ablation]'."
    )


def test_the_cpu_budget_is_the_one_that_is_written_about() -> None:
    rotnet, deep, gan = (CPU[name] for name in ("rotnet", "deepcluster", "bigan"))
    assert {"method.updates=3600", "method.batch_size=32"} <= set(rotnet["overrides"])
    assert {"method.k=200", "method.epochs=6"} <= set(deep["overrides"])
    assert (deep["images"], rotnet["seeds"], deep["seeds"], gan["seeds"]) == (25000, 3, 3, 1)
    assert {"method=monogan", "method.updates=2000"} <= set(gan["overrides"])
