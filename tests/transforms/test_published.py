"""Our transforms: the published laws of drawing, and torchvision's pixels."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import stats
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from singleimg.drawing.pipeline import Pipeline
from singleimg.errors import UserError
from singleimg.transforms.geometry import CropResizeAffineLaw
from singleimg.transforms.paper import RotatedCrop
from singleimg.transforms.published import CropResizeAffine, RandomSquareCrop
from singleimg.transforms.torchvision import RandomCropLaw

RARE = 1e-3  # a p-value below it means that the law is another one; seeds are fixed


def picture(height: int = 90, width: int = 120) -> Image.Image:
    """Bright everywhere, and different under any flip, turn or exchange of channels."""
    rows, columns = np.mgrid[:height, :width]
    pixels = [60 + rows * 190 // height, 60 + columns * 190 // width, 255 - (rows + columns) % 150]
    return Image.fromarray(np.stack(pixels, -1).astype(np.uint8))


def draws(transform, size=(1920, 2560), count=3000) -> list[dict]:
    pipeline = Pipeline([transform])
    return [pipeline.draw(0, i, 1, lambda _: size).params[0] for i in range(count)]


def column(params: list[dict], key: str) -> np.ndarray:
    return np.array([one[key] for one in params])


# --- the published script ------------------------------------------------------------------------


def published_boxes(side: int, count: int) -> list[tuple[int, int]]:
    """The law of MyRandomResizedCrop, in NumPy and anew: (width, height) until one fits."""
    generator, boxes = np.random.default_rng(5), []
    while len(boxes) < count:
        area = generator.uniform(1 / 500, 1) * side * side
        aspect = math.exp(generator.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if w <= side and h <= side:
            boxes.append((w, h))
    return boxes


def test_boxes_follow_the_published_law():
    params = draws(CropResizeAffine(256), (960, 960))
    w, h = column(params, "width"), column(params, "height")
    reference = np.array(published_boxes(960, 20_000))
    assert stats.ks_2samp(w * h, reference.prod(1)).pvalue > RARE
    assert stats.ks_2samp(w / h, reference[:, 0] / reference[:, 1]).pvalue > RARE


def test_boxes_lie_anywhere_inside():
    params = draws(CropResizeAffine(256), (960, 960))
    for start, length in (("left", "width"), ("top", "height")):
        place = column(params, start) / np.maximum(960 - column(params, length), 1)
        assert place.min() >= 0 and place.max() <= 1
        free = column(params, length) < 900
        assert stats.kstest(place[free], "uniform").pvalue > RARE


def test_angle_and_shear_are_uniform():
    params = draws(CropResizeAffine(256, degrees=30, shear=20))
    for key, most in (("angle", 30), ("shear", 20)):
        assert stats.kstest(column(params, key), "uniform", (-most, 2 * most)).pvalue > RARE


def test_the_square_is_uniform_and_reaches_both_ends():
    params = draws(RandomSquareCrop(0.5), (20, 27))
    assert {one["height"] for one in params} == {one["width"] for one in params} == {10}
    for key, places in (("top", 11), ("left", 18)):
        counts = np.bincount(column(params, key), minlength=places)
        assert stats.chisquare(counts).pvalue > RARE and len(counts) == places


def test_randinterp_draws_one_of_three():
    params = draws(CropResizeAffine(64, randinterp=True))
    names, counts = np.unique(column(params, "interpolation"), return_counts=True)
    assert list(names) == ["bicubic", "bilinear", "lanczos"]
    assert stats.chisquare(counts).pvalue > RARE
    assert {one["interpolation"] for one in draws(CropResizeAffine(64), count=50)} == {"bicubic"}


def torchvision_steps(image: Image.Image, transform: CropResizeAffine, p: dict) -> Image.Image:
    box = [p["top"], p["left"], p["height"], p["width"]]
    mode = F.InterpolationMode(p["interpolation"])
    image = F.resized_crop(image, *box, [int(math.sqrt(2) * transform.law.size)] * 2, mode)
    if transform.law.shear:
        image = F.affine(
            image, p["angle"], [0, 0], 1.0, [p["shear"], 0.0], F.InterpolationMode.BILINEAR, 0
        )
    elif transform.law.degrees:
        image = F.rotate(image, p["angle"], F.InterpolationMode.BILINEAR)
    return F.center_crop(image, [transform.law.size, transform.law.size])


@pytest.mark.parametrize("size", [32, 33])
@pytest.mark.parametrize("degrees, shear", [(0, 0), (30, 0), (30, 30), (0, 30), (180, 60)])
def test_fill_equals_torchvisions_three_steps(size, degrees, shear):
    transform = CropResizeAffine(size, degrees=degrees, shear=shear, randinterp=True)
    image = picture()
    for params in draws(transform, (90, 120), 25):
        ours = np.asarray(transform.transform(image, params))
        assert (ours == np.asarray(torchvision_steps(image, transform, params))).all()


def test_a_square_crop_taken_in_changes_no_pixel():
    square, crop = RandomSquareCrop(0.5), CropResizeAffine(32, degrees=30, shear=30)
    image = picture()
    joint_law = crop.law.absorb(square.law)
    for params in draws(joint_law.make(), (90, 120), 25):
        joint = crop.transform(image, params)
        top, left = params["top"] // 2, params["left"] // 2
        inner = {**params, "top": params["top"] - top, "left": params["left"] - left}
        apart = crop.transform(F.crop(image, top, left, 90 - top, 120 - left), inner)
        assert (np.asarray(joint) == np.asarray(apart)).all()


def test_only_a_square_crop_is_taken_in():
    assert CropResizeAffineLaw(32).absorb(RandomCropLaw(9)) is None
    pipeline = Pipeline([v2.RandomCrop(9), RandomSquareCrop(0.5), CropResizeAffine(32)])
    assert [step.name for step in pipeline.steps] == ["RandomCrop", "CropResizeAffine"]


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["reflect", "image"]),
    st.integers(8, 50),
    st.floats(-180, 180),
    st.floats(-80, 80),
    st.integers(0, 89),
    st.integers(0, 119),
    st.data(),
)
def test_no_black_is_left_in_any_corner(corners, size, angle, shear, top, left, data):
    transform = CropResizeAffine(size, degrees=180, shear=80, corners=corners)
    height = data.draw(st.integers(1, 90 - top))
    width = data.draw(st.integers(1, 120 - left))
    params = {"top": top, "left": left, "height": height, "width": width, "angle": angle,
              "shear": shear, "interpolation": "bilinear"}  # fmt: skip
    white = Image.new("RGB", (120, 90), (255, 255, 255))
    out = np.asarray(transform.transform(white, params))
    assert out.shape == (size, size, 3) and out.min() == 255


@pytest.mark.parametrize("corners", ["reflect", "image"])
def test_away_from_its_corners_an_image_is_what_it_is_with_fill(corners):
    filled = CropResizeAffine(64, degrees=30, shear=30)
    other = CropResizeAffine(64, degrees=30, shear=30, corners=corners)
    image = picture()
    for params in draws(filled, (90, 120), 25):
        both = [np.asarray(t.transform(image, params))[20:-20, 20:-20] for t in (filled, other)]
        assert np.abs(both[0].astype(int) - both[1]).max() <= 1


def test_corners_image_shows_what_lies_around_the_crop():
    """A blue square in a red picture: what a turn of the square opens is red, not black."""
    pixels = np.zeros((200, 200, 3), np.uint8)
    pixels[..., 0] = 255
    pixels[60:140, 60:140] = (0, 0, 255)
    params = {"top": 60, "left": 60, "height": 80, "width": 80, "angle": 45.0, "shear": 60.0,
              "interpolation": "bilinear"}  # fmt: skip
    transform = CropResizeAffine(64, degrees=45, shear=60, corners="image")
    out = np.asarray(transform.transform(Image.fromarray(pixels), params)).astype(int)
    opened = np.asarray(
        CropResizeAffine(64, degrees=45, shear=60).transform(Image.fromarray(pixels), params)
    )
    assert (opened.sum(-1) == 0).sum() > 20
    reds = out[opened.sum(-1) == 0][:, 0]  # those on the very edge are half blue
    assert reds.min() > 100 and reds.mean() > 245 and out[32, 32, 2] > 250


def test_scale_null_is_the_largest_centred_square():
    (params,) = draws(CropResizeAffine(32, scale=None), (90, 120), 1)
    assert [params[k] for k in ("top", "left", "height", "width")] == [0, 15, 90, 90]


def test_it_works_in_a_plain_torchvision_pipeline():
    torch.manual_seed(0)
    pipeline = v2.Compose([RandomSquareCrop(0.5), CropResizeAffine(32, degrees=30, shear=30)])
    assert pipeline(picture()).size == (32, 32)


# --- the paper -----------------------------------------------------------------------------------


def corners_of(p: dict) -> np.ndarray:
    """The patch's corners relative to the centre of the source, x right and y down."""
    angle = math.radians(p["angle"])
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (p["width"] / 2, p["height"] / 2)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return half @ turn.T.T + (p["u"], p["v"])


@settings(deadline=None, max_examples=60)
@given(st.integers(8, 4000), st.integers(8, 4000), st.floats(0, 180), st.integers(0, 10**9))
def test_no_corner_of_a_patch_leaves_the_source(height, width, degrees, index):
    transform = RotatedCrop(32, scale=(10**9, 1), degrees=degrees)
    p = Pipeline([transform]).draw(0, index, 1, lambda _: (height, width)).params[0]
    for sign in (1, -1):  # whichever way the patch is turned
        reach = np.abs(corners_of({**p, "angle": sign * p["angle"]}))
        assert (reach <= np.array([width / 2, height / 2]) + 1e-6).all()


def test_angle_and_aspect_are_unbiased():
    params = draws(RotatedCrop(32))
    assert stats.kstest(column(params, "angle"), "uniform", (-35, 70)).pvalue > RARE
    aspect = np.log(column(params, "width") / column(params, "height"))
    low = math.log(3 / 4)
    assert stats.kstest(aspect, "uniform", (low, -2 * low)).pvalue > RARE
    assert abs(np.corrcoef(column(params, "angle"), aspect)[0, 1]) < 0.06


@pytest.mark.parametrize("law", ["uniform", "log"])
def test_area_lies_between_the_smallest_and_the_largest_that_fits(law):
    H, W = 1920, 2560
    places = []
    for p in draws(RotatedCrop(32, area=law)):
        angle, r = math.radians(p["angle"]), p["width"] / p["height"]
        cos, sin = math.cos(angle), abs(math.sin(angle))
        largest = r * min(W / (r * cos + sin), H / (r * sin + cos)) ** 2 / (W * H)
        area = p["width"] * p["height"] / (W * H)
        to = math.log if law == "log" else float
        places.append((to(area) - to(1e-3)) / (to(largest) - to(1e-3)))
    assert stats.kstest(places, "uniform").pvalue > RARE


def test_the_centre_is_uniform_where_the_patch_stays_inside():
    across, down = [], []
    for p in draws(RotatedCrop(32)):
        angle = math.radians(p["angle"])
        cos, sin = math.cos(angle), abs(math.sin(angle))
        across.append(p["u"] / ((2560 - p["width"] * cos - p["height"] * sin) / 2))
        down.append(p["v"] / ((1920 - p["width"] * sin - p["height"] * cos) / 2))
    for places in (across, down):
        assert stats.kstest(places, "uniform", (-1, 2)).pvalue > RARE


def test_the_patch_shows_what_lies_under_it():
    """Levels rise by one a pixel, across in red and down in green: a pixel tells its own place."""
    rows, columns = np.mgrid[:200, :240]
    image = Image.fromarray(np.stack([columns, rows, rows * 0], -1).astype(np.uint8))
    transform = RotatedCrop(48, degrees=90)
    for index in range(40):
        p = Pipeline([transform]).draw(0, index, 1, lambda _: (200, 240)).params[0]
        out = np.asarray(transform.transform(image, p)).astype(float)
        angle = math.radians(p["angle"])
        grid = (np.arange(48) + 0.5) / 48 - 0.5
        x, y = np.meshgrid(grid * p["width"], grid * p["height"])
        # A picture turned counter-clockwise shows, to the right of its centre, what lay below it.
        source_x = 120 + p["u"] + x * math.cos(angle) - y * math.sin(angle) - 0.5
        source_y = 100 + p["v"] + x * math.sin(angle) + y * math.cos(angle) - 0.5
        inner = (slice(4, -4), slice(4, -4))
        assert np.abs(out[..., 0] - source_x)[inner].max() < 2
        assert np.abs(out[..., 1] - source_y)[inner].max() < 2


def test_it_turns_as_torchvision_turns():
    image = picture(100, 100)
    transform = RotatedCrop(40, degrees=90)
    params = {"angle": 30.0, "width": 40.0, "height": 40.0, "u": 0.0, "v": 0.0}
    ours = np.asarray(transform.transform(image, params)).astype(int)
    turned = F.rotate(image, 30.0, F.InterpolationMode.BILINEAR)
    theirs = np.asarray(F.center_crop(turned, [40, 40])).astype(int)
    assert np.abs(ours - theirs).mean() < 3


def test_nothing_black_enters_at_the_border():
    white = Image.new("RGB", (64, 48), (255, 255, 255))
    transform = RotatedCrop(16, degrees=45)
    for p in draws(transform, (48, 64), 100):
        assert np.asarray(transform.transform(white, p)).min() == 255


def test_scale_null_is_one_square_that_fits_at_every_angle():
    params = draws(RotatedCrop(32, scale=None, degrees=35), (90, 120), 50)
    sides = {(p["width"], p["height"], p["u"], p["v"]) for p in params}
    side = 90 / (math.cos(math.radians(35)) + math.sin(math.radians(35)))
    assert sides == {(side, side, 0.0, 0.0)}


# --- mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: CropResizeAffine(32, scale=(1, 500)),
            "CropResizeAffine: scale=[1, 500] is not an inverse area range, two numbers of 1 or "
            "more, the larger first: type for example 'scale=[500,1]'.",
        ),
        (
            lambda: CropResizeAffine(32, corners="mirror"),
            "CropResizeAffine: corners=mirror is not one of fill, reflect, image: type for "
            "example corners=fill.",
        ),
        (
            lambda: CropResizeAffine(32, degrees=-5),
            "CropResizeAffine: degrees=-5 is not from 0 to 180: type for example degrees=30.",
        ),
        (
            lambda: CropResizeAffine(32, shear=90),
            "CropResizeAffine: shear=90 is not from 0 to 80 degrees: type for example shear=30.",
        ),
        (
            lambda: RotatedCrop(32, area="lin"),
            "RotatedCrop: area=lin is not one of uniform, log: type for example area=log.",
        ),
        (
            lambda: draws(RandomSquareCrop(0.5), (1, 9), 1),
            "the source, 9×1 pixels, is too small for initcrop=0.5, which cuts less than one pixel "
            "of it: type a larger initcrop, or use a larger image.",
        ),
        (
            lambda: draws(CropResizeAffine(32, scale=(1, 1)), (225, 600), 1),
            "no crop of scale=[1,1] fits into 600×225 pixels in 10,000 tries: type a larger first "
            "number of scale, or use a larger or squarer image.",
        ),
        (
            lambda: draws(RotatedCrop(32, scale=(1.1, 1)), (225, 600), 1),
            r"scale=\[1.1,1\] needs patches of at least 1/1.1 of the image, and at deg=35 some "
            r"angles leave room for only 1/\S+: type a larger first number, or a smaller deg.",
        ),
    ],
)
def test_mistakes_get_a_sentence(make, message):
    with pytest.raises(UserError) as caught:
        make()
    assert str(caught.value) == message or re.fullmatch(message, str(caught.value))
