"""Crops: their pixels, where they lie, how large they are, and the laws by which they are drawn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torchvision.transforms.v2 import functional

from singleimg.learn.data.crops import CROPS, centre, flip, padded, placed, resized
from tests.learn.tiny import seeded


def ramp(size: int, count: int = 1) -> torch.Tensor:
    """Red says the row, green the column, blue is 1."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return torch.stack([rows, columns, torch.ones(size, size)]).float().repeat(count, 1, 1, 1)


@pytest.mark.parametrize("name", CROPS)
def test_each_gives_squares_that_the_generator_alone_decides(name):
    images = torch.rand(6, 3, 40, 40)
    first, again = (CROPS[name](images, 32, seeded()) for _ in range(2))
    assert first.shape == (6, 3, 32, 32) and torch.equal(first, again)
    if name != "centre":
        assert not torch.equal(first, CROPS[name](images, 32, seeded(1)))


def test_the_centre_is_the_middle():
    assert centre(ramp(40), 32, seeded())[0, 0, :, 0].tolist() == list(range(4, 36))


def test_a_placed_crop_keeps_pixels_and_lies_anywhere_both_ends_included():
    crops = placed(ramp(36, 400), 32, seeded())
    tops, lefts = crops[:, 0, 0, 0], crops[:, 1, 0, 0]
    assert set(tops.tolist()) == set(lefts.tolist()) == {0, 1, 2, 3, 4}
    assert torch.equal(crops[:, 0, :, 0], tops[:, None] + torch.arange(32))
    assert abs(float(torch.corrcoef(torch.stack([tops, lefts]))[0, 1])) < 0.15


def test_a_padded_crop_reaches_four_black_pixels_beyond_each_side():
    blue = padded(ramp(32, 600), 32, seeded())[:, 2]
    for side in (blue[:, :4, 16], blue[:, -4:, 16], blue[:, 16, :4], blue[:, 16, -4:]):
        assert {4 - int(n) for n in side.sum(1)} == {0, 1, 2, 3, 4}


def test_a_resized_crop_is_a_straight_cut_of_the_area_and_aspect_asked_for():
    crops = resized(ramp(64, 500), 16, seeded())
    heights = (crops[:, 0, -1, 0] - crops[:, 0, 0, 0]) * 16 / 15 / 64
    widths = (crops[:, 1, 0, -1] - crops[:, 1, 0, 0]) * 16 / 15 / 64
    inside = (heights < 0.9) & (widths < 0.9)  # a cut that touches the border is reflected there
    area, aspect = (heights * widths)[inside], (widths / heights)[inside]
    assert 0.07 < area.min() < 0.15 and area.max() > 0.5
    assert 0.72 < aspect.min() < 0.8 and 1.25 < aspect.max() < 1.36
    steps = crops[inside][:, 0, 2:-2].diff(dim=1)
    assert (steps - steps.mean((1, 2), keepdim=True)).abs().max() < 1e-2


def test_a_flip_mirrors_left_to_right_and_nothing_else():
    images = ramp(8, 50)
    assert torch.equal(flip(images, 0, seeded()), images)
    assert torch.equal(flip(images, 1, seeded()), images.flip(3))
    some = flip(images, 0.5, seeded())[:, 1, 0, 0]
    assert 10 < (some == 7).sum() < 40


RARE = 1e-3  # a p-value below it means that the law is another one; seeds are fixed


def picture(height: int, width: int, count: int = 1) -> Tensor:
    """No flip, turn or exchange of channels leaves it as it is, and no two pixels are equal."""
    return torch.rand(count, 3, height, width, generator=seeded(9)) * 0.9 + 0.1


def coordinates(height: int, width: int, count: int) -> Tensor:
    """Red says the row, green the column, blue a sum of both."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([rows, columns, 3 * rows - 2 * columns]).float().repeat(count, 1, 1, 1)


@pytest.mark.parametrize("name", CROPS)
@pytest.mark.parametrize("shape", [(32, 32), (40, 40), (45, 37)])
def test_every_crop_gives_squares_of_the_side_asked_for(name: str, shape: tuple) -> None:
    crops = CROPS[name](picture(*shape, 4), 32, seeded())
    assert crops.shape == (4, 3, 32, 32) and crops.dtype == torch.float32


@pytest.mark.parametrize("name", ["placed", "padded", "resized"])
def test_each_image_of_a_batch_is_cut_by_itself(name: str) -> None:
    crops = CROPS[name](picture(40, 40).repeat(8, 1, 1, 1), 32, seeded())
    assert len({crop.numpy().tobytes() for crop in crops}) > 1


@pytest.mark.parametrize("name", ["placed", "padded", "resized"])
def test_one_generator_gives_other_crops_the_next_time(name: str) -> None:
    generator, images = seeded(), picture(40, 40, 8)
    first, second = (CROPS[name](images, 32, generator) for _ in range(2))
    assert not torch.equal(first, second)


def test_the_middle_of_an_oblong_image_is_taken() -> None:
    images = picture(20, 31, 2)
    assert torch.equal(centre(images, 10, seeded()), images[:, :, 5:15, 10:20])


def test_a_placed_crop_is_a_window_of_its_own_image() -> None:
    images = picture(7, 9, 30)
    for image, crop in zip(images, placed(images, 5, seeded()), strict=True):
        windows = [image[:, y : y + 5, x : x + 5] for y in range(3) for x in range(5)]
        assert sum(torch.equal(crop, window) for window in windows) == 1


def test_a_padded_crop_is_a_window_of_its_own_image_in_a_black_margin_of_four() -> None:
    images = picture(6, 6, 60)
    crops = padded(images, 6, seeded())
    for image, crop in zip(images, crops, strict=True):
        wide = torch.from_numpy(np.pad(image.numpy(), ((0, 0), (4, 4), (4, 4))))
        windows = [wide[:, y : y + 6, x : x + 6] for y in range(9) for x in range(9)]
        assert any(torch.equal(crop, window) for window in windows)


def offsets(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Where padded crops of 9 px lie: rows and columns of 0 … 8."""
    crops = padded(coordinates(9, 9, count) + 1, 9, seeded(3))  # 1 … 9, and 0 beyond the border
    lines = crops[:, 0].amax(2), crops[:, 1].amax(1)  # of each row, of each column
    # A line says its own number, and so where the first one lies.
    return tuple((a.amax(1) - a.argmax(1) - 1 + 4).numpy().astype(int) for a in lines)


def test_the_places_of_padded_crops_are_uniform_independent_and_reach_both_ends() -> None:
    rows, columns = offsets(4000)
    for drawn in (rows, columns):
        counts = np.bincount(drawn, minlength=9)
        assert len(counts) == 9 and counts.all()
        assert stats.chisquare(counts).pvalue > RARE
    table = np.zeros((9, 9))
    np.add.at(table, (rows, columns), 1)
    assert stats.chi2_contingency(table).pvalue > RARE


def boxes(count: int, height: int, width: int) -> np.ndarray:
    """What the law of ``resized`` draws, in NumPy: top, left, height, width, in pixels."""
    area, ratio, x, y, _ = torch.rand(5, count, generator=seeded(1), dtype=torch.float64).numpy()
    area, ratio = 0.08 + 0.92 * area, (3 / 4) ** (1 - 2 * ratio)
    wide, tall = (np.minimum(1, np.sqrt(area * r)) for r in (ratio, 1 / ratio))
    return np.stack([y * (1 - tall) * height, x * (1 - wide) * width, tall * height, wide * width])


@pytest.mark.parametrize("shape", [(64, 64), (48, 80)])
def test_a_resized_crop_of_a_linear_gradient_has_the_levels_computed_by_hand(shape: tuple) -> None:
    crops = resized(coordinates(*shape, 200), 16, seeded(1)).double().numpy()
    middle = (np.arange(16) + 0.5) / 16
    for crop, (top, left, tall, wide) in zip(crops, boxes(200, *shape).T, strict=True):
        rows = np.clip(top + middle * tall - 0.5, 0, shape[0] - 1)
        columns = np.clip(left + middle * wide - 0.5, 0, shape[1] - 1)
        inner = (slice(1, -1), slice(1, -1))  # the border is a reflection
        assert np.abs(crop[0] - rows[:, None])[inner].max() < 1e-3
        assert np.abs(crop[1] - columns)[inner].max() < 1e-3
        assert np.abs(crop[2] - (3 * rows[:, None] - 2 * columns))[inner].max() < 5e-3


def test_the_whole_image_resized_to_its_own_side_is_the_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = picture(12, 12, 2)
    whole = torch.full((5, 2), 0.5, dtype=torch.float64)
    whole[0] = 1  # the whole area, of aspect 1
    monkeypatch.setattr(torch, "rand", lambda *_, **__: whole)
    assert torch.allclose(resized(images, 12, seeded()), images, atol=1e-5)


def test_a_resized_crop_shows_what_torchvision_shows() -> None:
    """Where nothing is made smaller, so that antialiasing does not matter."""
    rows, columns = np.mgrid[:24, :24] / 24
    image = torch.tensor(np.stack([np.sin(5 * rows), np.cos(4 * columns), rows * columns])).float()
    crops = resized(image.repeat(40, 1, 1, 1), 48, seeded(1))
    for crop, (top, left, tall, wide) in zip(crops, boxes(40, 24, 24).T, strict=True):
        cut = round(top), round(left), round(tall), round(wide)
        theirs = functional.resized_crop(image, *cut, [48, 48], antialias=False)
        assert float((crop - theirs)[:, 3:-3, 3:-3].abs().mean()) < 0.05


def test_the_area_and_aspect_of_resized_crops_are_torchvisions() -> None:
    crops = resized(coordinates(64, 64, 3000), 16, seeded(5))
    inside = crops[:, :, 4:-4, 4:-4]  # straight, whatever the border is
    tall = (inside[:, 0, -1, 0] - inside[:, 0, 0, 0]).double().numpy() * 16 / 7 / 64
    wide = (inside[:, 1, 0, -1] - inside[:, 1, 0, 0]).double().numpy() * 16 / 7 / 64
    free = (tall < 0.98) & (wide < 0.98)
    aspect = np.log(wide / tall)[free & (tall * wide < 0.7)]  # none of these was cut
    limit = math.log(4 / 3)
    assert stats.kstest(aspect, "uniform", (-limit, 2 * limit)).pvalue > RARE
    area = (tall * wide)[free & (tall * wide < 0.7)]
    assert stats.kstest(area, "uniform", (0.08, 0.62)).pvalue > RARE


def test_a_flip_of_probability_0_or_1_is_none_or_one_of_all() -> None:
    images = picture(5, 7, 50)
    assert torch.equal(flip(images, 0.0, seeded()), images)
    mirrored = torch.from_numpy(images.numpy()[..., ::-1].copy())
    assert torch.equal(flip(images, 1.0, seeded()), mirrored)


def test_a_flip_is_drawn_for_each_image_with_its_probability() -> None:
    images = picture(2, 3, 2000)
    mirrored = flip(images, 0.3, seeded())[:, 0, 0, 0] != images[:, 0, 0, 0]
    assert 0.25 < float(mirrored.float().mean()) < 0.35
    assert torch.equal(flip(images, 0.3, seeded()), flip(images, 0.3, seeded()))
