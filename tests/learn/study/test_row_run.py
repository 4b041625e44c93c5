"""Rows as they are made: each is a training that can begin."""

from __future__ import annotations

from pathlib import Path

import pytest

import singleimg
from singleimg.learn.study.design import PARTS, rows_of
from singleimg.learn.study.row_run import row_config
from singleimg.learn.training.run import describe_run


@pytest.mark.parametrize("budget", ["cpu", "gpu", "smoke"])
def test_every_row_of_every_budget_is_a_training_that_can_begin(
    budget: str, picture: Path, tmp_path: Path
) -> None:
    study = singleimg.compose(
        "task=study", f"budget={budget}", "network=cifar_conv4", "augment=paper",
        f"imgpath={picture}",
    )  # fmt: skip
    table, ablation = rows_of(PARTS, study.budget)
    rows = {row.name: row for row in (*table, *ablation) if not row.full}
    assert len(rows) == 12
    for name, row in rows.items():
        run = describe_run(row_config(row, tmp_path / name, study))
        run.method.build(run.network, run.inputs.count, run.inputs.classes)
        assert all(run.method.optimizers.values()) and run.network.widths == study.network.widths
    assert not list(tmp_path.iterdir())


def test_what_was_typed_for_training_reaches_the_rows(picture: Path, tmp_path: Path) -> None:
    study = singleimg.compose(
        "task=study", "budget=smoke", "network=cifar_conv4", "augment=paper", "train.max_norm=3",
        f"imgpath={picture}", "engine=reference",
    )  # fmt: skip
    (row, *_), _ = rows_of(PARTS, study.budget)
    made = row_config(row, tmp_path, study)
    assert made.train.max_norm == 3 and made.engine._target_ == "reference"
    assert not made.task.tensorboard and not made.task.keep


def test_the_full_set_is_as_large_as_the_budget_says(picture: Path, tmp_path: Path) -> None:
    study = singleimg.compose(
        "task=study", "budget=cpu", "network=cifar_conv4", "augment=paper", f"imgpath={picture}"
    )
    table, _ = rows_of(PARTS, study.budget)
    sizes = {row.name: row_config(row, tmp_path, study).task.images for row in table if row.full}
    assert sizes == {"supervised": 50000, "RotNet, full set": 50000,
                     "DeepCluster, full set": 25000, "MonoGAN, full set": 50000}  # fmt: skip
