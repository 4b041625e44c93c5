"""Each rule shows what its transform shows on Pillow images, on pictures without any symmetry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from singleimg.drawing.pipeline import Pipeline
from singleimg.engines.native import NativeEngine
from singleimg.engines.picture import Picture
from singleimg.engines.raster.rules import RULES
from singleimg.engines.reference import ReferenceEngine
from singleimg.errors import UserError
from singleimg.transforms.paper import RotatedCrop
from singleimg.transforms.published import CropResizeAffine, RandomSquareCrop
from tests.benchmarks.equivalence import psnr

BICUBIC, LANCZOS = v2.InterpolationMode.BICUBIC, v2.InterpolationMode.LANCZOS
SAME = 98.0  # dB; every pixel is equal
EXACT = [
    v2.RandomHorizontalFlip(p=0.7),
    v2.RandomVerticalFlip(p=0.7),
    v2.CenterCrop((31, 50)),
    v2.CenterCrop(99),
    v2.CenterCrop((200, 33)),
    v2.RandomCrop((40, 61)),
    v2.RandomInvert(p=0.7),
    v2.RandomSolarize(threshold=130, p=0.7),
    v2.RandomPosterize(bits=3, p=0.7),
    v2.Identity(),
    RandomSquareCrop(0.6),
]
CLOSE = [
    v2.Resize(50),
    v2.Resize((33, 61), BICUBIC),
    v2.Resize(31, max_size=40),
    v2.Resize((64, 64), LANCZOS),
    v2.Resize(200, 3),
    v2.RandomResizedCrop(40, scale=(0.05, 1.0)),
    v2.RandomResizedCrop((30, 55), scale=(0.05, 1.0), interpolation=BICUBIC),
    v2.ColorJitter(brightness=0.8),
    v2.ColorJitter(contrast=0.8),
    v2.ColorJitter(saturation=0.8),
    v2.ColorJitter(hue=0.5),
    v2.RandomGrayscale(p=0.7),
    v2.Grayscale(3),
    v2.GaussianBlur(7, (0.1, 2.0)),
    v2.GaussianBlur((3, 9), 1.5),
    RotatedCrop(40),
    RotatedCrop(64, scale=(40, 1), degrees=180, area="log"),
    RotatedCrop(32, scale=None),
    RotatedCrop(32, degrees=0),
    CropResizeAffine(32, degrees=30, shear=30),
    CropResizeAffine(32, degrees=30),
    CropResizeAffine(33, degrees=180, shear=20),
    CropResizeAffine(32, shear=80),
    CropResizeAffine(32, scale=None),
    CropResizeAffine(32, degrees=60, shear=30, corners="image"),
    CropResizeAffine(45, degrees=60, shear=30, corners="reflect"),
    CropResizeAffine(32, degrees=20, randinterp=True, scale=(4, 1)),
]


def picture(height: int = 96, width: int = 131) -> Image.Image:
    """Smooth, bright enough to see a black corner, and of no symmetry whatever."""
    rows, columns = np.mgrid[:height, :width]
    waves = 30 * np.sin(rows / 9) * np.cos(columns / 13 + rows / 31)
    channels = [60 + 150 * rows / height, 60 + 150 * columns / width, 200 - (rows + columns) / 2]
    pixels = np.stack(channels, -1) + waves[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def both(transforms: list, image: Image.Image, count: int = 25) -> list[tuple]:
    """(reference, native, drawn parameters) for the first images."""
    pipeline = Pipeline(transforms)
    source = Picture(np.array(image))
    plans = [engine.renderer(pipeline) for engine in (ReferenceEngine(), NativeEngine())]
    assert not plans[1].slow
    draws = pipeline.draw_many(0, range(count), 1, lambda _: source.size)
    rendered = (plan.render(draws, [source] * count) for plan in plans)
    params = (sample.params for sample in draws.samples)
    return list(zip(*rendered, params, strict=True))


def name(transform: v2.Transform) -> str:
    return repr(transform)[:60]


def test_every_rule_is_exercised_here():
    assert {type(one).__name__ for one in EXACT + CLOSE} == set(RULES)


@pytest.mark.parametrize("transform", EXACT, ids=name)
def test_what_only_moves_or_looks_up_is_equal(transform):
    for reference, native, params in both([transform], picture()):
        assert (reference == native).all(), params


@pytest.mark.parametrize("transform", CLOSE, ids=name)
def test_what_computes_is_close(transform):
    found = [
        (psnr(reference, native), params)
        for reference, native, params in both([transform], picture())
    ]
    assert min(one[0] for one in found) > 38, min(found, key=lambda one: one[0])


@pytest.mark.parametrize("transform", [*EXACT, *CLOSE], ids=name)
def test_neither_rules_nor_users_write_into_the_source(transform):
    pixels = np.array(picture())
    pipeline, before = Pipeline([transform]), pixels.copy()
    source, plan = Picture(pixels), NativeEngine().renderer(pipeline)
    for shown in plan.render(
        pipeline.draw_many(0, range(6), 1, lambda _: source.size), [source] * 6
    ):
        shown[:] = 7
    assert (pixels == before).all()


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(8, 150),
    width=st.integers(8, 150),
    size=st.integers(8, 90),
    degrees=st.sampled_from([0, 5, 45, 90, 180]),
    shear=st.sampled_from([0, 1, 30, 80]),
    corners=st.sampled_from(["fill", "reflect", "image"]),
    inverse=st.floats(1, 60),
)
def test_any_crop_of_any_picture_is_close(height, width, size, degrees, shear, corners, inverse):
    transform = CropResizeAffine(
        size, scale=(inverse * 4, inverse), degrees=degrees, shear=shear, corners=corners
    )
    try:
        rendered = both([transform], picture(height, width), 3)
    except UserError:
        assume(False)  # no such crop fits
    for reference, native, params in rendered:
        # Along a black corner a rounding may decide whether a pixel is black: a few of them.
        apart = np.abs(reference.astype(int) - native).max(-1) > 12
        assert apart.mean() < 0.02, (params, apart.sum())
        assert psnr(reference[~apart], native[~apart]) > 40, params


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(40, 150),
    width=st.integers(40, 150),
    size=st.integers(8, 90),
    degrees=st.sampled_from([0, 10, 35, 90, 180]),
    inverse=st.floats(8, 60),
)
def test_any_rotated_patch_of_any_picture_is_close(height, width, size, degrees, inverse):
    transform = RotatedCrop(size, scale=(inverse, 1), degrees=degrees)
    for reference, native, params in both([transform], picture(height, width), 3):
        assert psnr(reference, native) > 36, params


@pytest.mark.parametrize("change", ["brightness", "contrast", "saturation"])
def test_colours_come_out_as_bright_as_pillows(change):
    """Pillow cuts fractions off: without doing the same, sets were half a level brighter."""
    pairs = both([v2.ColorJitter(**{change: (0.6, 0.95)})], picture())
    assert abs(np.mean([ours.mean() - pillows.mean() for pillows, ours, _ in pairs])) < 0.1


@pytest.mark.parametrize("width, height", [(200, 151), (201, 150), (200, 150), (201, 151)])
def test_a_rotated_patch_is_read_between_the_same_pixels(width, height):
    """Half a pixel aside, fine grain would come out as another picture."""
    grain = np.random.default_rng(2).integers(90, 160, (height, width, 3))
    image = Image.fromarray(grain.astype(np.uint8))
    for degrees in (0, 35):
        transform = RotatedCrop(60, scale=(12, 8), degrees=degrees)
        found = [psnr(a, b) for a, b, _ in both([transform], image)]
        assert np.median(found) > 38


@pytest.mark.parametrize("width", [80, 81])
def test_a_strongly_shrunk_patch_begins_where_pillows_does(width):
    """Four pixels become one; at an odd width the patch begins between two pixels."""
    grain = np.random.default_rng(3).integers(0, 256, (64, width, 3))
    image = Image.fromarray(grain.astype(np.uint8))
    (pillows, ours, _), *_ = both([RotatedCrop(16, scale=None, degrees=0)], image, 1)
    assert np.abs(ours.astype(int) - pillows).mean() < 1.6  # a quarter of a pixel aside: 2.2


@pytest.mark.parametrize("mark", [(40, 50), (57, 52), (41, 77), (56, 80)])
def test_a_mark_aside_of_the_centre_stays_where_it_is(mark):
    """Rows are rows, columns columns, and channels keep their order."""
    image = Image.new("RGB", (131, 96), (90, 90, 90))
    row, column = mark
    image.paste((250, 130, 10), (column - 2, row - 2, column + 3, row + 3))
    steps = [CropResizeAffine(64, scale=(1.2, 1), degrees=10), v2.RandomVerticalFlip(0.5)]
    compared = 0
    for reference, native, _ in both(steps, image):
        for channel in range(3):
            weights = [abs(one[..., channel].astype(float) - 90) for one in (reference, native)]
            if min(one.sum() for one in weights) > 200:
                places = [np.argwhere(one > one.max() / 2).mean(0) for one in weights]
                assert abs(places[0] - places[1]).max() < 1
                compared += 1
    assert compared > 10


def test_no_rule_for_settings_that_it_does_not_serve():
    for transform in (
        v2.Resize(20, v2.InterpolationMode.BOX),
        v2.RandomResizedCrop(20, interpolation=v2.InterpolationMode.NEAREST),
        v2.RandomCrop(20, padding=4),
    ):
        plan = NativeEngine().renderer(Pipeline([transform]))
        assert plan.slow == {type(transform).__name__: "torchvision's tensor path"}
