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
    HALF,
    ONE,
    PARTS,
    Row,
    ablation_name,
    left_out,
    rows_of,
    table_name,
)

BUDGETS: dict[str, dict[str, Any]] = {}
for name in ("cpu", "gpu", "smoke"):
    loaded = OmegaConf.to_container(OmegaConf.load(CONF / "budget" / f"{name}.yaml"))
    BUDGETS[name] = loaded.get("budget", loaded)
CPU = BUDGETS["cpu"]
ROWS = rows_of(PARTS, CPU)
NEWER = next(method for method in CPU["methods"] if method != "rotnet")
METHODS = list(CPU["methods"])


def called(name: str) -> list[Row]:
    return list(dict.fromkeys(row for rows in ROWS.values() for row in rows if row.name == name))


# --- the table -----------------------------------------------------------------------------------


def test_the_rows_of_the_table_and_how_many_seeds_each_has() -> None:
    names = list(dict.fromkeys(row.name for row in ROWS["table"]))
    assert [row.seed for row in ROWS["table"]] == [0, 1, 2] * len(names)
    methods = [
        f"{table_name(method, images)}{length}"
        for method in METHODS
        for images in (ONE, FULL)
        for length in ("", ", half")
    ]
    assert set(names) == {"random", "supervised", "RotNet, 500 real images", *methods}


def test_the_cpu_budget_is_the_one_that_is_written_about() -> None:
    assert METHODS[0] == "rotnet" and len(METHODS) == 2
    assert {CPU["methods"][method]["updates"] for method in METHODS} == {18000}
    assert "method.batch_size=32" in CPU["methods"]["rotnet"]["overrides"]
    assert "method.batch_size=64" in CPU["methods"][NEWER]["overrides"]
    assert CPU["supervised"]["updates"] == 9000 and CPU["students"]["updates"] == 5000


def test_a_row_is_typed_with_its_updates_its_images_and_its_seed() -> None:
    assert called("supervised")[2].overrides == (
        *CPU["supervised"]["overrides"], "method.updates=9000", "task.images=50000", "seed=2",
    )  # fmt: skip
    assert called("RotNet, 500 real images")[0].overrides == (
        *CPU["methods"]["rotnet"]["overrides"], "method.updates=18000", "task.images=500", "seed=0",
    )  # fmt: skip


@pytest.mark.parametrize("length", ["", f", {HALF}"])
@pytest.mark.parametrize("budget", BUDGETS.values(), ids=BUDGETS)
def test_one_image_and_the_full_set_differ_in_their_images_alone(
    budget: dict[str, Any], length: str
) -> None:
    """So they have equal updates of equal batches, of as many images."""
    table = rows_of(["table"], budget)["table"]
    for method, settings in budget["methods"].items():
        one, full = (
            [row for row in table if row.name == table_name(method, images) + length]
            for images in (ONE, FULL)
        )
        count = settings["images"]
        assert len(one) == settings["seeds"]
        for first, second in zip(one, full, strict=True):
            assert first.seed == second.seed
            differ = set(first.overrides) ^ set(second.overrides)
            assert differ == {f"num_imgs={count}", f"task.images={count}"}
            assert f"num_imgs={count}" in first.overrides


@pytest.mark.parametrize("images", [ONE, FULL])
@pytest.mark.parametrize("method", METHODS)
def test_half_is_a_training_of_its_own_with_half_the_updates(method: str, images: str) -> None:
    name = table_name(method, images)
    for whole, half in zip(called(name), called(f"{name}, {HALF}"), strict=True):
        assert set(whole.overrides) ^ set(half.overrides) == {
            "method.updates=18000", "method.updates=9000",
        }  # fmt: skip
        assert whole.folder != half.folder


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


def test_statistics_are_recomputed_of_random_trunks_and_those_of_one_image() -> None:
    names = {row.name for row in ROWS["table"] if row.recomputed}
    assert names == {"random", *(table_name(method, ONE) for method in METHODS)}


def test_a_row_has_one_folder_whichever_part_it_stands_in() -> None:
    rows = {row for rows in ROWS.values() for row in rows}
    assert len({row.folder for row in rows}) == len(rows)
    assert called("random")[1].label == "random, seed 1"
    assert ROWS["ablation"][0] in ROWS["table"]


# --- students ------------------------------------------------------------------------------------


def test_students_come_after_their_teacher_and_differ_in_their_picture_alone() -> None:
    teacher, *students = ROWS["students"]
    assert (teacher.role, teacher.labelled, teacher.seed) == ("teacher", True, 0)
    assert {row.role for row in students} == {"student"}
    settings = CPU["students"]
    names = list(dict.fromkeys(row.name for row in students))
    assert len(names) == len(settings["sources"]) + 1
    common = {*settings["overrides"], f"method.updates={settings['updates']}", "seed=0"}
    for name in names:
        first = called(name)[0]
        assert common <= set(first.overrides)
        source = settings["sources"].get(name.removeprefix("student of "), {}).get("overrides", [])
        count = "task.images" if first.labelled else "num_imgs"
        assert set(first.overrides) - common == {*source, f"{count}={settings['images']}"}


def test_one_student_alone_sees_real_images() -> None:
    assert {row.name for row in ROWS["students"] if row.labelled} == {
        "teacher", "student of the real images",
    }  # fmt: skip


def test_the_pictures_that_are_compared_are_of_as_many_pixels() -> None:
    sources = CPU["students"]["sources"]
    for name in ("ameyoko", "dead leaves", "noise"):
        assert "image.pixels=135000" in sources[name]["overrides"]  # of animals, 600x225
    assert sources["ameyoko as it is"]["overrides"] == ["image=ameyoko"]
    assert sources["ameyoko"]["seeds"] == sources["noise"]["seeds"] == 3  # whose students are pairs


# --- the ablation --------------------------------------------------------------------------------

OFF = {"rotation": "deg=0", "scale": "scale=null", "jitter": "augment.jitter=0"}


def test_the_ablation_is_the_eight_subsets_of_three_factors() -> None:
    subsets = chain.from_iterable(combinations(sorted(OFF), n) for n in range(4))
    assert len(ABLATION) == 8
    assert {frozenset(factors) for factors in ABLATION} == {frozenset(one) for one in subsets}
    assert [ablation_name(factors) for factors in ABLATION] == [
        "none", "jitter", "rotation", "scale", "rotation+jitter", "rotation+scale", "jitter+scale",
        "all",
    ]  # fmt: skip


@pytest.mark.parametrize("factors", ABLATION)
def test_what_is_not_named_is_turned_off_and_nothing_else_is_changed(factors: tuple) -> None:
    for row, whole in zip(called(ablation_name(factors)), called("all"), strict=True):
        off = {text for factor, text in OFF.items() if factor not in factors}
        assert set(row.overrides) - set(whole.overrides) == off
        assert set(whole.overrides) <= set(row.overrides)


@pytest.mark.parametrize("name", ["none", "jitter", "rotation", "scale", "rotation+scale", "all"])
def test_a_factor_that_is_off_is_off_in_what_is_composed(name: str) -> None:
    common = ("task=pretrain", "augment=paper", "network=cifar_conv4", "img_size=32")
    cfg = compose(*common, *called(name)[0].overrides)
    assert (cfg.deg != 0) == ("rotation" in name or name == "all")
    assert (cfg.scale is not None) == ("scale" in name or name == "all")
    assert (cfg.augment.jitter > 0) == ("jitter" in name or name == "all")


# --- choices -------------------------------------------------------------------------------------


def test_what_was_tried_has_equal_updates_and_one_seed() -> None:
    rows = ROWS["choices"]
    assert {row.seed for row in rows} == {0}
    assert all("method.updates=3600" in row.overrides for row in rows)
    names = {row.name for row in rows}
    for method in ("SimCLR", "VICReg", "BYOL", "DINO", "DeepCluster"):
        assert {f"{method}, one image, tried", f"{method}, full set, tried"} <= names


# --- parts ---------------------------------------------------------------------------------------


def test_parts_are_made_in_one_order_however_they_are_named() -> None:
    assert list(rows_of(["ablation", "table"], CPU)) == ["table", "ablation"]
    assert rows_of(["ablation"], CPU)["ablation"] == ROWS["ablation"]


@pytest.mark.parametrize(("parts", "shown"), [
    ([], "[]"), (["tabel"], "[tabel]"), (["table", "x"], "[table,x]"),
])  # fmt: skip
def test_other_parts_and_none_at_all_are_refused(parts: list[str], shown: str) -> None:
    with pytest.raises(UserError) as mistake:
        rows_of(parts, CPU)
    assert str(mistake.value) == (
        f"task.parts={shown} is not a list of table, students, ablation, choices: type for example "
        "'task.parts=[ablation]'."
    )


def test_what_was_not_run_is_every_other_row_and_method() -> None:
    everything = [row for rows in ROWS.values() for row in rows]
    methods = ["DeepCluster", "MonoGAN"]
    assert [name for name in left_out(everything, CPU) if name in methods] == methods
    table = left_out(ROWS["table"], CPU)
    assert {"teacher", "student of noise", "none", "DeepCluster", "MonoGAN"} <= set(table)
    assert not {"random", "supervised", "RotNet, one image"} & set(table)
