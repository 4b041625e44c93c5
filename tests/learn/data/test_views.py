"""Views: two of one image, what they show of it, and colours as torchvision changes them."""

from __future__ import annotations

import colorsys
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torchvision.transforms.v2 import functional

from singleimg.errors import UserError
from singleimg.learn.data import views
from singleimg.learn.data.views import Views
from tests.learn.tiny import seeded

RARE = 1e-3  # a p-value below it means that the law is another one; seeds are fixed
PLAIN = {"hflip": 0, "jitter": 0, "grey": 0}  # crops alone
COLOURS = ("brightness", "contrast", "saturation", "hue")


def colours(count: int, side: int = 8) -> Tensor:
    """Noise; the first ones are black, white, grey, and the six pure colours."""
    images = torch.rand(count, 3, side, side, generator=seeded(9))
    corners = [*itertools.product((0.0, 1.0), repeat=3), (0.5, 0.5, 0.5)]
    images[: len(corners)] = torch.tensor(corners)[:, :, None, None]
    return images


def places(count: int, side: int = 64) -> Tensor:
    """Red says the row, green the column, as shares of the side; blue says which image it is."""
    middles = (torch.arange(side) + 0.5) / side
    rows, columns = torch.meshgrid(middles, middles, indexing="ij")
    images = torch.stack([rows, columns, torch.zeros(side, side)]).repeat(count, 1, 1, 1)
    images[:, 2] = (torch.arange(count) / count)[:, None, None]
    return images


def boxes(shown: Tensor) -> np.ndarray:
    """Top, left, bottom, right of what N views of ``places`` show, shares of the side: N×4."""
    side = shown.shape[-1]
    found = []
    for values in (shown[:, 0, :, side // 2], shown[:, 1, side // 2]):
        first, last = values[:, 2].double().numpy(), values[:, -3].double().numpy()
        middle, reach = (first + last) / 2, abs(last - first) / 2 * side / (side - 5)
        found += [middle - reach, middle + reach]
    return np.stack([found[0], found[2], found[1], found[3]], 1)


def overlap(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Of two boxes the common area, as a share of the smaller one's."""
    low, high = np.maximum(one[:, :2], two[:, :2]), np.minimum(one[:, 2:], two[:, 2:])
    common = np.clip(high - low, 0, None).prod(1)
    return common / np.minimum(*((box[:, 2:] - box[:, :2]).prod(1) for box in (one, two)))


# --- what views show -----------------------------------------------------------------------------


def test_there_are_two_views_of_each_image_and_the_generator_alone_decides_them() -> None:
    images = colours(12)
    first, again, other = (Views().pair(images, 6, seeded(n)) for n in (0, 0, 1))
    assert first.shape == (24, 3, 6, 6) and first.dtype == torch.float32
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert not torch.equal(*first.chunk(2))
    assert first.min() >= 0 and first.max() <= 1


def test_both_views_are_of_the_same_image_and_most_of_them_overlap() -> None:
    count = 1000
    one, two = Views(**PLAIN).pair(places(count), 32, seeded()).chunk(2)
    for shown in (one, two):
        assert (shown[:, 2].mean((1, 2)) * count).round().tolist() == list(range(count))
    shared = overlap(boxes(one), boxes(two))
    assert (shared > 0).mean() > 0.97 and shared.mean() > 0.6


def test_views_of_a_patch_stay_in_it_so_that_those_of_two_patches_are_unrelated() -> None:
    """Patches of a twentieth of a photograph's side; drawn from the photograph, no view would."""
    photograph = places(1, 640)[0]
    corners = torch.randint(0, 608, (300, 2), generator=seeded(3)).tolist()
    patches = torch.stack([photograph[:, y : y + 32, x : x + 32] for y, x in corners])
    shown = Views(**PLAIN).pair(patches, 32, seeded())
    low, high = (getattr(patches, end)((2, 3), keepdim=True) for end in ("amin", "amax"))
    low, high = low.repeat(2, 1, 1, 1), high.repeat(2, 1, 1, 1)
    assert (shown >= low - 1e-6).all() and (shown <= high + 1e-6).all()
    one, two = (boxes(half) for half in shown.chunk(2))
    assert (overlap(one, two) > 0).mean() > 0.97
    assert (overlap(one, np.roll(two, 1, 0)) > 0).mean() < 0.02


@pytest.mark.parametrize("area", [(0.2, 1), (0.08, 0.3), (0.5, 0.5)])
def test_a_view_shows_the_part_of_the_area_that_is_asked_for(area: tuple) -> None:
    shown = Views(area=area, **PLAIN).pair(places(1500), 32, seeded())
    top, left, bottom, right = boxes(shown).T
    found = (bottom - top) * (right - left)
    free = (bottom - top < 0.99) & (right - left < 0.99)  # the others were cut to the image
    assert found.max() <= area[1] + 0.01 and found[free].min() >= area[0] - 0.01
    if area == (0.08, 0.3):
        assert stats.kstest(found, "uniform", (0.08, 0.22)).pvalue > RARE


def test_a_view_is_mirrored_with_its_probability_by_a_draw_of_its_own() -> None:
    shown = Views(**{**PLAIN, "hflip": 0.3}).pair(places(2000), 16, seeded())
    mirrored = (shown[:, 1, 8, 3] > shown[:, 1, 8, -4]).view(2, -1)
    both = float((mirrored[0] & mirrored[1]).float().mean())
    assert 0.27 < float(mirrored.float().mean()) < 0.33 and 0.07 < both < 0.11
    straight = Views(**PLAIN).pair(places(50), 16, seeded())
    assert torch.allclose(
        Views(**{**PLAIN, "hflip": 1}).pair(places(50), 16, seeded()), straight.flip(3), atol=1e-5
    )


# --- colours -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COLOURS)
def test_a_change_of_colour_is_torchvisions(name: str) -> None:
    images = colours(60)
    values = torch.rand(60, 1, 1, 1, generator=seeded(2))
    values = values - 0.5 if name == "hue" else 2 * values
    values[::7] = 0
    ours = getattr(views, f"adjust_{name}")(images, values)
    theirs = [
        getattr(functional, f"adjust_{name}")(image, float(value))
        for image, value in zip(images, values, strict=True)
    ]
    assert torch.allclose(ours, torch.stack(theirs), atol=1e-5)
    assert not torch.allclose(ours, images, atol=0.1)


def test_grey_levels_are_torchvisions() -> None:
    images = colours(20)
    assert torch.allclose(views.grey_levels(images), functional.rgb_to_grayscale(images))


@pytest.mark.parametrize("seed", range(4))
def test_all_changes_are_those_of_torchvision_one_after_another_in_the_order_drawn(
    seed: int,
) -> None:
    images = colours(40)
    ours = Views(grey=0.4).recoloured(images, seeded(seed))
    random = seeded(seed)
    draws = torch.rand(6, 40, 1, 1, 1, generator=random).flatten(1)
    order = torch.randperm(4, generator=random).tolist()
    for k, image in enumerate(images):
        for place in order if draws[4, k] < 0.8 else ():
            name = COLOURS[place]
            largest, middle = (0.1, 0) if name == "hue" else (0.4, 1)
            value = middle + largest * (2 * float(draws[place, k]) - 1)
            image = getattr(functional, f"adjust_{name}")(image, value)
        if draws[5, k] < 0.4:
            image = functional.rgb_to_grayscale(image, 3)
        assert torch.allclose(ours[k], image, atol=1e-4)


def test_the_order_of_the_changes_is_drawn() -> None:
    orders = set()
    for seed in range(200):
        random = seeded(seed)
        torch.rand(6, 1, 1, 1, 1, generator=random)
        orders.add(tuple(torch.randperm(4, generator=random).tolist()))
    assert len(orders) == 24  # of 4 changes
    grey = torch.tensor([0.9, 0.5, 0.3]).view(1, 3, 1, 1).repeat(1, 1, 4, 4)
    strong = Views(jitter=1, grey=0, brightness=0.9, contrast=0.9, saturation=0.9, hue=0.5)
    assert len({float(strong.recoloured(grey, seeded(n)).sum()) for n in range(20)}) == 20


def test_without_jitter_and_grey_nothing_changes_and_so_it_is_with_changes_of_0() -> None:
    images = colours(30)
    assert Views(jitter=0, grey=0).recoloured(images, seeded()) is images
    none = Views(jitter=1, grey=0, brightness=0, contrast=0, saturation=0, hue=0)
    assert torch.equal(none.recoloured(images, seeded()), images)


def test_jitter_and_grey_have_their_probabilities_and_each_image_its_own_draws() -> None:
    images = torch.tensor([0.6, 0.4, 0.3]).view(1, 3, 1, 1).repeat(3000, 1, 2, 2)
    made = Views(jitter=0.7, grey=0.15).recoloured(images, seeded())
    grey = made.amax((1, 2, 3)) - made.amin((1, 2, 3)) < 1e-6
    changed = (made - images).abs().amax((1, 2, 3)) > 1e-5
    assert 0.13 < float(grey.float().mean()) < 0.17
    assert 0.67 < float(changed[~grey].float().mean()) < 0.73
    assert len(made[changed & ~grey, 0, 0, 0].unique()) > 1500


def test_the_changes_are_uniform_up_to_the_largest() -> None:
    images = torch.tensor([0.5, 0.1, 0.1]).view(1, 3, 1, 1).repeat(2000, 1, 1, 1)
    off = {"jitter": 1, "grey": 0, "brightness": 0, "contrast": 0, "saturation": 0, "hue": 0}
    bright = Views(**{**off, "brightness": 0.6}).recoloured(images, seeded())[:, 0, 0, 0] / 0.5
    assert stats.kstest(bright.numpy(), "uniform", (0.4, 1.2)).pvalue > RARE
    turned = Views(**{**off, "hue": 0.2}).recoloured(images, seeded(1))[:, :, 0, 0].tolist()
    hues = [(colorsys.rgb_to_hsv(*pixel)[0] + 0.5) % 1 - 0.5 for pixel in turned]
    assert stats.kstest(hues, "uniform", (-0.2, 0.4)).pvalue > RARE


# --- settings ------------------------------------------------------------------------------------

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"area": area}, f"method.views.area={area} is not two numbers over 0 and up to 1, the smaller "
                     "one first: type for example 'method.views.area=[0.2,1]'.")
    for area in ([0, 1], [0.5, 0.2], [0.2, 1.1], [0.2], 0.2, "ab", None)
] + [
    ({key: value}, f"method.views.{key}={value} is not a number from 0 to {most}: type for example "
                   f"method.views.{key}={default}.")
    for key, value, most, default in (
        ("hflip", 1.5, 1, 0.5), ("jitter", -0.1, 1, 0.8), ("grey", True, 1, 0.2),
        ("brightness", "much", 1, 0.4), ("contrast", 2, 1, 0.4), ("saturation", None, 1, 0.4),
        ("hue", 0.6, 0.5, 0.1),
    )
] + [
    ({"blur": 0.5}, "method.views has no key blur: type one of area, hflip, jitter, brightness, "
                    "contrast, saturation, hue, grey."),
    ({"gray": 0.5}, "method.views has no key gray (did you mean grey?): type one of area, hflip, "
                    "jitter, brightness, contrast, saturation, hue, grey."),
    (None, "method.views=None is not a group of settings: type for example "
           "'method.views={area:[0.2,1]}'."),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "sentence"), REFUSED)
def test_a_mistake_is_one_sentence(settings: Any, sentence: str) -> None:
    with pytest.raises(UserError) as mistake:
        Views.of(settings)
    assert str(mistake.value) == sentence


def test_what_is_left_out_is_the_default() -> None:
    assert Views.of({"area": [0.3, 1]}) == Views(area=[0.3, 1])
