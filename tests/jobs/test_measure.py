"""What a sweep's page says of each dataset."""

from __future__ import annotations

import pytest

from singleimg.jobs.measure import measured
from singleimg.tasks.generate import generate
from tests.config.test_checks import loaded

TURNED = ("augment.transforms=[{_target_: torchvision.transforms.v2.CenterCrop, size: 64},"
          "{_target_: torchvision.transforms.v2.RandomRotation, degrees: [45, 45]},"
          "{_target_: torchvision.transforms.v2.ColorJitter, brightness: [0.1, 0.2]}]")  # fmt: skip


def of(tmp_path, picture, *more: str) -> tuple[float | None, float | None]:
    generate(loaded(f"imgpath={picture}", "num_imgs=2", f"targetpath={tmp_path}/set", *more))
    return measured(str(tmp_path / "set"))


def test_of_a_square_that_is_turned_by_an_eighth_a_sixth_is_fill(tmp_path, picture):
    """What of it lies in itself is an octagon of 2 (√2 - 1); colours are not looked at."""
    fill, area = of(tmp_path, picture, "img_size=64", TURNED)
    assert fill == pytest.approx(1 - 2 * (2**0.5 - 1), abs=0.01) and area is None


def test_what_is_cut_out_straight_has_no_fill_and_is_a_part_of_the_picture(tmp_path, picture):
    fill, area = of(tmp_path, picture, "img_size=16", "deg=0", "shear=0", "cropfirst=false")
    assert fill == 0 and 0 < area < 1


def test_a_picture_that_is_gone_is_no_mistake(tmp_path, picture):
    from shutil import copyfile

    copyfile(picture, tmp_path / "mine.png")
    generate(loaded(f"imgpath={tmp_path}/mine.png", "num_imgs=2", "img_size=16",
                    f"targetpath={tmp_path}/set"))  # fmt: skip
    (tmp_path / "mine.png").unlink()
    assert measured(str(tmp_path / "set")) == (None, None)
