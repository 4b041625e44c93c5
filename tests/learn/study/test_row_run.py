"""Rows as they are made: each is a training that can begin."""

from __future__ import annotations

from pathlib import Path

import pytest

import singleimg
from singleimg.learn.study.design import PARTS, rows_of
from singleimg.learn.study.row_run import row_config
from singleimg.learn.training.run import describe_run


@pytest.fixture
def study(picture: Path):
    def composed(*typed: str):
        return singleimg.compose(
            "task=study", "network=cifar_conv4", "augment=paper", f"imgpath={picture}", *typed
        )

    return composed


@pytest.mark.parametrize("budget", ["cpu", "gpu", "smoke"])
def test_every_row_of_one_image_is_a_training_that_can_begin(budget, study, tmp_path: Path) -> None:
    made = study(f"budget={budget}")
    everything = [row for rows in rows_of(PARTS, made.budget).values() for row in rows]
    rows = {row.name: row for row in everything if not row.labelled and row.role == "trunk"}
    assert len(rows) >= 10
    for name, row in rows.items():
        run = describe_run(row_config(row, tmp_path / name, made))
        run.method.build(run.network, run.inputs.count, run.inputs.classes)
        assert all(run.method.optimizers.values()) and run.network.widths == made.network.widths
    assert not list(tmp_path.iterdir())


def test_what_was_typed_for_training_reaches_the_rows(study, tmp_path: Path) -> None:
    made = study("budget=smoke", "train.max_norm=3", "engine=reference")
    row, *_ = rows_of(PARTS, made.budget)["table"]
    cfg = row_config(row, tmp_path, made)
    assert cfg.train.max_norm == 3 and cfg.engine._target_ == "reference"
    assert not cfg.task.tensorboard and not cfg.task.keep


def test_the_full_set_is_as_large_as_the_budget_says(study, tmp_path: Path) -> None:
    made = study("budget=cpu")
    table = rows_of(PARTS, made.budget)["table"]
    sizes = {row.name: row_config(row, tmp_path, made).task.images for row in table if row.labelled}
    assert set(sizes.values()) == {50000, 500}
    assert sizes["RotNet, 500 real images"] == 500 and sizes["RotNet, full set, half"] == 50000


def test_a_student_has_its_own_picture_and_the_teacher_of_its_study(study, tmp_path: Path) -> None:
    made = study("budget=cpu")
    rows = {row.name: row for row in rows_of(["students"], made.budget)["students"]}
    cfg = row_config(rows["student of noise"], tmp_path / "rows" / "student", made)
    assert (cfg.image._target_, cfg.image.pixels) == ("noise", 135000)
    assert cfg.method.teacher == str(tmp_path / "rows" / "teacher-seed-0") and cfg.data is None
    cfg = row_config(rows["student of the real images"], tmp_path / "rows" / "student", made)
    assert cfg.data == made.data and cfg.task.images == 50000
    assert rows["teacher"].folder == "teacher-seed-0"
