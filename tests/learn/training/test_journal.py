"""The journal: CSV that goes on where the checkpoint is, and pictures in a grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from singleimg.learn.training.journal import (
    BOARD,
    EPOCHS,
    UPDATES,
    Journal,
    read,
    stretch_filters,
    tile_images,
)


def written(folder: Path, steps: int) -> None:
    """A journal of so many updates, two an epoch."""
    journal = Journal(folder, 0, False)
    for step in range(1, steps + 1):
        journal.update(step, {"loss": step / 2, "lr": 0.1})
        if step % 2 == 0:
            journal.epoch(step, {"epoch": step // 2, "loss": step / 4})


def steps(file: Path) -> list[float]:
    return [row["step"] for row in read(file)]


# --- lines ---------------------------------------------------------------------------------------


def test_a_line_an_update_and_a_line_an_epoch_can_be_read_again(tmp_path: Path) -> None:
    written(tmp_path, 4)
    assert read(tmp_path / UPDATES)[2] == {"step": 3, "loss": 1.5, "lr": 0.1}
    assert read(tmp_path / EPOCHS) == [
        {"step": 2, "epoch": 1, "loss": 0.5}, {"step": 4, "epoch": 2, "loss": 1},
    ]  # fmt: skip
    assert (tmp_path / UPDATES).read_text().splitlines()[:2] == ["step,loss,lr", "1,0.5,0.1"]


def test_six_digits_are_kept_of_any_value(tmp_path: Path) -> None:
    values = {"a": 1 / 3, "b": 123456789.0, "c": float("nan"), "d": float("inf"), "e": -2e-12}
    Journal(tmp_path, 0, False).update(1, values)
    (row,) = read(tmp_path / UPDATES)
    expected = pytest.approx({"step": 1, **values}, rel=1e-5, nan_ok=True)
    assert row == expected


@pytest.mark.parametrize(("step", "updates", "epochs"), [
    (5, [1, 2, 3, 4, 5], [2, 4]), (3, [1, 2, 3], [2]), (2, [1, 2], [2]),
    (9, [1, 2, 3, 4, 5, 6], [2, 4, 6]),
])  # fmt: skip
def test_lines_beyond_the_checkpoint_are_dropped_when_it_goes_on(
    tmp_path: Path, step: int, updates: list[int], epochs: list[int]
) -> None:
    written(tmp_path, 6)
    Journal(tmp_path, step, False)
    assert steps(tmp_path / UPDATES) == updates and steps(tmp_path / EPOCHS) == epochs


def test_it_goes_on_with_the_next_line_under_the_same_head(tmp_path: Path) -> None:
    written(tmp_path, 6)
    journal = Journal(tmp_path, 3, False)
    journal.update(4, {"loss": 9.0, "lr": 0.2})
    assert steps(tmp_path / UPDATES) == [1, 2, 3, 4]
    assert read(tmp_path / UPDATES)[3] == {"step": 4, "loss": 9, "lr": 0.2}


@pytest.mark.parametrize("rest", ["5", "5,", "5,0.", "", "\n", "\x00\x00\x00"])
def test_a_line_that_a_kill_cut_off_is_dropped(tmp_path: Path, rest: str) -> None:
    written(tmp_path, 4)
    with (tmp_path / UPDATES).open("a") as stream:
        stream.write(rest)
    Journal(tmp_path, 4, False).update(5, {"loss": 1, "lr": 1})
    assert steps(tmp_path / UPDATES) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("text", ["", "step,loss\n", "step,loss\n7,1\n"])
def test_a_journal_of_which_no_line_remains_begins_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / UPDATES).write_text(text)
    Journal(tmp_path, 0, False).update(1, {"other": 2})
    assert read(tmp_path / UPDATES) == [{"step": 1, "other": 2}]


def test_cutting_leaves_no_other_file(tmp_path: Path) -> None:
    written(tmp_path, 6)
    Journal(tmp_path, 3, False)
    assert sorted(one.name for one in tmp_path.iterdir()) == [EPOCHS, UPDATES]


def test_a_fresh_folder_stays_empty_until_something_is_said(tmp_path: Path) -> None:
    Journal(tmp_path, 0, False).close()
    assert not list(tmp_path.iterdir())


def test_tensorboard_hears_the_same(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    journal = Journal(tmp_path, 0, True)
    journal.update(1, {"loss": 0.5})
    journal.picture("filters", 1, 1, torch.rand(2, 3, 4, 4))
    journal.close()
    assert [file.stat().st_size > 100 for file in (tmp_path / BOARD).iterdir()] == [True]
    assert steps(tmp_path / UPDATES) == [1]


# --- pictures ------------------------------------------------------------------------------------


def test_a_picture_lies_where_its_name_and_epoch_say(tmp_path: Path) -> None:
    journal, images = Journal(tmp_path, 0, False), torch.rand(3, 3, 5, 4)
    for epoch in (1, 12):
        journal.picture("samples", 99, epoch, images)
    names = sorted(file.name for file in (tmp_path / "pictures").iterdir())
    assert names == ["samples-0001.png", "samples-0012.png"]
    assert np.array_equal(
        np.asarray(Image.open(tmp_path / "pictures" / names[0])), tile_images(images)
    )


def test_images_are_tiled_row_by_row_with_white_lines_between() -> None:
    images = torch.rand(7, 3, 4, 5)
    grid = tile_images(images, across=3, gap=2)
    assert grid.shape == (3 * 4 + 2 * 2, 3 * 5 + 2 * 2, 3) and grid.dtype == np.uint8
    rest = np.ones(grid.shape[:2], bool)
    for place, image in enumerate(images):
        top, left = place // 3 * 6, place % 3 * 7
        rest[top : top + 4, left : left + 5] = False
        shown = grid[top : top + 4, left : left + 5]
        assert np.abs(shown - 255 * image.permute(1, 2, 0).numpy()).max() <= 0.5
    assert (grid[rest] == 255).all()


def test_levels_beyond_0_to_1_are_black_and_white() -> None:
    levels = torch.tensor([-1.0, 0.0, 0.5, 1.0, 7.0]).view(5, 1, 1, 1).expand(5, 3, 1, 1)
    assert tile_images(levels, across=5, gap=0)[0, :, 0].tolist() == [0, 0, 128, 255, 255]


def test_filters_are_stretched_each_to_its_own_range_and_enlarged() -> None:
    sizes = torch.tensor([1, 9, 0.1, 4]).view(4, 1, 1, 1)
    filters = torch.randn(4, 3, 2, 5, requires_grad=True) * sizes
    shown = stretch_filters(filters)
    assert shown.shape == (4, 3, 18, 45) and not shown.requires_grad  # 9 times: 48 px at most
    for image, one in zip(shown, filters.detach(), strict=True):
        expected = (one - one.min()) / (one.max() - one.min())
        large = np.kron(expected.numpy(), np.ones((1, 9, 9)))
        assert np.allclose(image.numpy(), large, atol=1e-6)


def test_filters_of_another_number_of_channels_are_grey_and_constant_ones_black() -> None:
    grey = stretch_filters(torch.randn(4, 2, 3, 3))
    assert grey.shape == (4, 3, 48, 48)
    assert torch.equal(grey[:, 0], grey[:, 1]) and torch.equal(grey[:, 0], grey[:, 2])
    assert not stretch_filters(torch.full((1, 3, 2, 2), 5.0)).any()
