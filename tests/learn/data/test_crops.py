"""A method's own crops: where they lie, how large they are, and that they are drawn fairly."""

from __future__ import annotations

import pytest
import torch

from singleimg.learn.data.crops import CROPS, centre, flip, padded, placed, resized


def torch_generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ramp(size: int, count: int = 1) -> torch.Tensor:
    """Red says the row, green the column, blue is 1."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return torch.stack([rows, columns, torch.ones(size, size)]).float().repeat(count, 1, 1, 1)


@pytest.mark.parametrize("name", CROPS)
def test_each_gives_squares_that_the_generator_alone_decides(name):
    images = torch.rand(6, 3, 40, 40)
    first, again = (CROPS[name](images, 32, torch_generator()) for _ in range(2))
    assert first.shape == (6, 3, 32, 32) and torch.equal(first, again)
    if name != "centre":
        assert not torch.equal(first, CROPS[name](images, 32, torch_generator(1)))


def test_the_centre_is_the_middle():
    assert centre(ramp(40), 32, torch_generator())[0, 0, :, 0].tolist() == list(range(4, 36))


def test_a_placed_crop_keeps_pixels_and_lies_anywhere_both_ends_included():
    crops = placed(ramp(36, 400), 32, torch_generator())
    tops, lefts = crops[:, 0, 0, 0], crops[:, 1, 0, 0]
    assert set(tops.tolist()) == set(lefts.tolist()) == {0, 1, 2, 3, 4}
    assert torch.equal(crops[:, 0, :, 0], tops[:, None] + torch.arange(32))
    assert abs(float(torch.corrcoef(torch.stack([tops, lefts]))[0, 1])) < 0.15


def test_a_padded_crop_reaches_four_black_pixels_beyond_each_side():
    blue = padded(ramp(32, 600), 32, torch_generator())[:, 2]
    for side in (blue[:, :4, 16], blue[:, -4:, 16], blue[:, 16, :4], blue[:, 16, -4:]):
        assert {4 - int(n) for n in side.sum(1)} == {0, 1, 2, 3, 4}


def test_a_resized_crop_is_a_straight_cut_of_the_area_and_aspect_asked_for():
    crops = resized(ramp(64, 500), 16, torch_generator())
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
    assert torch.equal(flip(images, 0, torch_generator()), images)
    assert torch.equal(flip(images, 1, torch_generator()), images.flip(3))
    some = flip(images, 0.5, torch_generator())[:, 1, 0, 0]
    assert 10 < (some == 7).sum() < 40
