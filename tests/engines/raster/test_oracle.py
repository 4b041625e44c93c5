"""Every kernel gives the pixels of docs/raster.md, bit for bit: those of the oracle."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2

from singleimg import SingleImage
from singleimg.drawing.draws import Draws
from singleimg.drawing.pipeline import Pipeline
from singleimg.engines.picture import Picture
from singleimg.transforms import CropResizeAffine, RandomSquareCrop, RotatedCrop
from singleimg.transforms.base import CORNERS, INTERPOLATIONS
from tests.config.test_checks import loaded
from tests.engines.raster.compared import Source, assert_equal, photograph, renderers, usable
from tests.engines.raster.oracle.resampling import level_sizes

SIZES = (8, 9, 17, 24, 31, 32, 64, 100, 128, 224, 256)
SHAPES = ((97, 61), (300, 200), (1, 1), (1, 400), (400, 1), (2, 3), (25, 33))  # height, width
BOTH = ("randinterp=false", "randinterp=true")
PRESETS = [
    *product(["script"], [f"corners={one}" for one in CORNERS], BOTH),
    *product(["strong"], [f"corners={one}" for one in CORNERS], BOTH[1:]),
    *product(["weak"], [f"corners={one}" for one in CORNERS]),
    ("script", "vflip=true", "shear=0", "deg=180"),
    ("script", "deg=0", "shear=0"),
    ("script", "scale=null", "cropfirst=false", "randinterp=true"),
    ("paper",),
    ("paper", "scale=null"),
    ("paper", "deg=180", "scale=[1000,10]", "augment.area=log"),
    ("none",),
]


@cache
def source(height: int, width: int) -> Source:
    return Source(photograph(height, width))


@cache
def preset(name: str, *more: str) -> Pipeline:
    return SingleImage.from_config(loaded(f"augment={name}", *more)).pipeline


def sized(pipeline: Pipeline, size: int) -> Pipeline:
    """The same for images of that size: what ``img_size`` decides in presets."""
    steps = []
    for step in pipeline.steps:
        if step.name in ("CropResizeAffine", "RotatedCrop"):
            step = replace(step, law=replace(step.law, size=size))
        elif step.name == "Resize":
            step = replace(step, law=replace(step.law, size=[size, size]))
        steps.append(step)
    return Pipeline(steps)


def assert_equal_where_it_draws(
    pipeline: Pipeline, source: Source, count: int, seed: int = 0
) -> bool:
    draws = source.draws(pipeline, range(count), seed)
    if draws is not None:
        assert_equal(pipeline, source, draws)
    return draws is not None


def turned(draws: Draws, angle: float) -> Draws:
    """The draws with another angle in the first step, degrees."""
    draws.steps[0].columns["angle"][:] = angle
    return draws


# --- presets ---


@pytest.mark.parametrize("typed", PRESETS, ids=" ".join)
def test_presets(typed):
    pipeline = preset(*typed)
    for size, shape in [(8, (97, 61)), (31, (97, 61)), (64, (300, 200)), (9, (300, 200))]:
        assert assert_equal_where_it_draws(sized(pipeline, size), source(*shape), 3)
    for shape in SHAPES:
        assert_equal_where_it_draws(sized(pipeline, 24), source(*shape), 1, seed=1)
    assert assert_equal_where_it_draws(sized(pipeline, 256), source(300, 200), 1)


@pytest.mark.slow
@pytest.mark.parametrize("typed", PRESETS, ids=" ".join)
def test_presets_at_all_sizes(typed):
    for size, shape in product(SIZES, SHAPES):
        assert_equal_where_it_draws(sized(preset(*typed), size), source(*shape), 6, seed=2)


def test_a_picture_of_1024_pixels():
    script = sized(preset("script", "corners=image", "randinterp=false"), 1024)
    assert assert_equal_where_it_draws(script, source(300, 200), 1)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1024, 4096])
@pytest.mark.parametrize("typed", [PRESETS[0], PRESETS[3], PRESETS[6], ("paper",), ("none",)])
def test_large_pictures(typed, size):
    assert assert_equal_where_it_draws(sized(preset(*typed), size), source(700, 900), 1)


@pytest.mark.slow
def test_a_large_source():
    photo = Source(photograph(2100, 1500))
    for typed, size in product(PRESETS, (32, 64, 256)):
        assert assert_equal_where_it_draws(sized(preset(*typed), size), photo, 3, seed=3)


@pytest.mark.slow
def test_the_sheared_corners_of_large_pictures_are_where_they_belong():
    """The furthest that the settings reach, in numbers of 32 bits."""
    pipeline, photo = Pipeline([CropResizeAffine(4096, None, degrees=180, shear=80)]), source(3, 2)
    for angle in (35.0, -145.0):
        draws = turned(photo.draws(pipeline, [0]), angle)
        draws.steps[0].columns["shear"][:] = 80.0
        assert_equal(pipeline, photo, draws)


# --- levels ---


@pytest.mark.parametrize("shape", [(24, 24), (23, 500), (34, 34), (48, 49), (300, 200), (411, 999)])
def test_levels(shape):
    photo = Source(photograph(*shape))
    for name, renderer in renderers(preset("paper")).items():
        levels = Picture(photo.native.pixels).levels(renderer._raster).pixels
        assert [level.shape[:2] for level in levels] == level_sizes(*shape), name
        for got, wanted in zip(levels, photo.oracle.levels, strict=True):
            assert np.array_equal(got, wanted), name


# --- any settings ---

RATIOS = st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)).map(lambda pair: tuple(sorted(pair)))
SCALES = st.tuples(st.floats(1, 2000), st.floats(1, 50)).map(lambda two: (max(two), min(two)))
ANY_SHAPE = st.one_of(st.sampled_from(SHAPES), st.tuples(st.integers(1, 130), st.integers(1, 130)))


@given(
    st.integers(1, 72), st.one_of(st.none(), SCALES), RATIOS, st.floats(0, 180), st.floats(0, 80),
    st.sampled_from(CORNERS), st.booleans(), st.sampled_from(INTERPOLATIONS), ANY_SHAPE,
    st.one_of(st.none(), st.floats(0.1, 1)), st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=120, deadline=None)
def test_any_affine_crop(
    size, scale, ratio, degrees, shear, corners, randinterp, interpolation, shape, square, seed
):
    turn = (degrees, shear, corners, randinterp, interpolation)
    steps = [CropResizeAffine(size, scale, ratio, *turn)]
    if square is not None:
        steps.insert(0, RandomSquareCrop(square))
    assert_equal_where_it_draws(Pipeline(steps), source(*shape), 2, seed)


@given(
    st.integers(1, 72), st.one_of(st.none(), SCALES), RATIOS, st.floats(0, 180),
    st.sampled_from(["uniform", "log"]), ANY_SHAPE, st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=120, deadline=None)
def test_any_rotated_crop(size, scale, ratio, degrees, area, shape, seed):
    steps = [RotatedCrop(size, scale, ratio, degrees, area)]
    assert_equal_where_it_draws(Pipeline(steps), source(*shape), 2, seed)


@pytest.mark.parametrize("angle", [0.0, 45.0, 90.0, -90.0, 180.0, -180.0, 1e-9])
def test_angles_at_which_a_sine_or_cosine_vanishes(angle):
    for shape in ((97, 61), (300, 200)):
        for step in (
            CropResizeAffine(24, None, degrees=180),
            CropResizeAffine(24, None, degrees=180, shear=1e-9, corners="reflect"),
            CropResizeAffine(33, degrees=180, corners="image"),
            RotatedCrop(7, [1000, 4], degrees=180),
            RotatedCrop(50, [1000, 4], degrees=180),
        ):
            pipeline, photo = Pipeline([step]), source(*shape)
            assert_equal(pipeline, photo, turned(photo.draws(pipeline, [0]), angle))


# --- steps in any order ---

HUE = v2.ColorJitter(0.4, 0.4, 0.4, 0.1)
LISTS = {
    "a crop of a resized crop": [v2.RandomResizedCrop((50, 70)), v2.RandomCrop((20, 31))],
    "a crop of a crop": [v2.RandomCrop(24), v2.RandomCrop((20, 17)), v2.CenterCrop((9, 12))],
    "a resized crop of a crop": [RandomSquareCrop(0.9), v2.RandomResizedCrop(12, (0.5, 1))],
    "a resized square": [RandomSquareCrop(0.77), v2.Resize((9, 10), 3)],
    "a resized square, twice": [RandomSquareCrop(0.77), v2.Resize(40, 1), v2.Resize((9, 10), 2)],
    "a centre that is larger": [v2.CenterCrop((310, 403))],
    "a centre that is wider": [v2.CenterCrop((24, 403)), v2.Resize((30, 30))],
    "a centre that is higher": [v2.CenterCrop((405, 21)), v2.RandomCrop((399, 20))],
    "a square of what is larger": [v2.CenterCrop(120), CropResizeAffine(20, corners="image")],
    "flips first": [v2.RandomHorizontalFlip(1), v2.RandomVerticalFlip(1), CropResizeAffine(20)],
    "a flip before a turn": [v2.RandomVerticalFlip(1), RotatedCrop(10)],
    "a part, turned": [v2.CenterCrop(60), RotatedCrop(10)],
    "a part, sheared": [v2.CenterCrop((60, 50)), CropResizeAffine(10, None, shear=30, degrees=9)],
    "beyond a part": [v2.RandomCrop((60, 50)), CropResizeAffine(10, shear=30, corners="image")],
    "all of it as a part": [RandomSquareCrop(1.0), RotatedCrop(6, degrees=180, scale=[90, 9])],
    "a turn of a turn": [RotatedCrop(60), RotatedCrop(20), CropResizeAffine(16, (2, 1))],
    "flips of a part": [v2.RandomCrop(19), v2.RandomHorizontalFlip(1), v2.RandomCrop(13)],
    "an affine crop of another": [CropResizeAffine(60, shear=9), CropResizeAffine(30, shear=9)],
    "in some order": [v2.RandomOrder([v2.RandomHorizontalFlip(1), RotatedCrop(40), HUE,
                                      v2.RandomResizedCrop(48), v2.GaussianBlur(5)])],
    "crops in some order": [v2.RandomOrder([v2.CenterCrop((30, 41)), v2.Resize((35, 50)),
                                            v2.RandomVerticalFlip(1), RandomSquareCrop(0.5)])],
    "one of several": [v2.RandomChoice([v2.Resize((8, 9)), v2.CenterCrop((8, 9)),
                                        v2.Compose([v2.Resize(30), v2.CenterCrop((8, 9))])])],
    "perhaps": [v2.RandomApply([v2.CenterCrop(22), v2.GaussianBlur(3)], 0.5), CropResizeAffine(9)],
    "colours first": [HUE, v2.RandomGrayscale(0.5), RotatedCrop(12)],
    "colours of a part": [v2.RandomCrop((21, 22)), HUE, v2.CenterCrop((20, 9))],
    "all colours": [v2.Resize((12, 31)), HUE, v2.RandomSolarize(128, 0.5), v2.RandomInvert(0.5),
                    v2.RandomPosterize(3, 0.5), v2.Grayscale(3)],
    "nothing": [v2.Identity()],
    "a part alone": [RandomSquareCrop(0.5)],
    "a flip alone": [v2.RandomHorizontalFlip(0.5)],
    "colours alone": [HUE],
    "no step": [],
}  # fmt: skip


@pytest.mark.parametrize("steps", LISTS.values(), ids=LISTS)
def test_lists(steps):
    pipeline = Pipeline(steps)
    done = [assert_equal_where_it_draws(pipeline, source(*shape), 5) for shape in SHAPES]
    assert done[1]


@pytest.mark.parametrize("kernel", [1, 3, 7, 23, (1, 23), (23, 1), (3, 151)])
@pytest.mark.parametrize("sigma", [(0.1, 2.0), 0.01, 40.0])
def test_blurs(kernel, sigma):
    """Also of pictures that are smaller than the kernel."""
    blur = v2.GaussianBlur(kernel, sigma)
    for steps in ([blur], [v2.RandomCrop((2, 1)), blur], [v2.Resize((33, 17)), blur, blur]):
        for shape in ((97, 61), (2, 3), (1, 400), (1, 1)):
            assert_equal_where_it_draws(Pipeline(steps), source(*shape), 1)


@pytest.mark.parametrize("interpolation", [1, 2, 3])
@pytest.mark.parametrize("size", [(1, 1), (1, 90), (90, 1), (8, 3), 5, (97, 61), (7, 301)])
def test_resizes(interpolation, size):
    for before in ([], [RandomSquareCrop(1.0)], [v2.RandomHorizontalFlip(1)]):
        pipeline = Pipeline([*before, v2.Resize(size, interpolation)])
        for shape in SHAPES:
            assert assert_equal_where_it_draws(pipeline, source(*shape), 1)


def test_the_plain_kernel_is_among_those_that_are_compared():
    assert "plain" in usable()
