"""The compiled colour operations are the oracle's to the bit, and the oracle's nearly Pillow's."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms.v2 import functional

from singleimg.engines.raster.colour import (
    Operation,
    blend_numbers,
    hue_numbers,
    operations,
)
from singleimg.transforms.base import Law
from singleimg.transforms.torchvision import (
    ColorJitterLaw,
    GrayscaleLaw,
    RandomGrayscaleLaw,
    RandomInvertLaw,
    RandomPosterizeLaw,
    RandomSolarizeLaw,
)
from tests.engines.raster.oracle import colour as oracle

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(1, 5)
GREYSCALE, INVERT, SOLARIZE, POSTERIZE = range(5, 9)


def q(factor: float) -> int:
    return int(blend_numbers(np.array([factor]))[0])


def random_image(seed: int, height: int, width: int) -> np.ndarray:
    """RGBX: every second pixel of any colour, the others near a grey, as in photographs."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height, width, 4))
    near = rng.integers(0, 256, (height, width, 1)) + rng.integers(-12, 13, (height, width, 4))
    return np.where(rng.random((height, width, 1)) < 0.5, pixels, near.clip(0, 255)).astype(
        np.uint8
    )


# --- compiled = oracle ---


def assert_all_equal_the_oracle(kernels, rgbx: np.ndarray, ops: list[tuple[int, int]]) -> None:
    wanted = oracle.colour(rgbx[..., :3], ops)
    for isa, kernel in kernels.items():
        in_place = rgbx.copy()
        kernel.in_place(in_place, ops)
        assert np.array_equal(in_place[..., :3], wanted), isa
        rgb = np.full(wanted.size + 64, 77, np.uint8)  # whoever writes beyond the end is seen
        kernel.to_rgb(rgbx.copy(), ops, rgb)
        assert np.array_equal(rgb[: wanted.size], wanted.ravel()), isa
        assert (rgb[wanted.size :] == 77).all(), isa


@pytest.mark.parametrize(
    "operation",
    [(SATURATION, q(1.37)), (SATURATION, q(99.0)), (HUE, 77), (GREYSCALE, 0)],
    ids=["saturation", "far saturation", "hue", "greyscale"],
)
def test_every_colour(kernels, operation):
    """All 2²⁴: also the proof that the float divisions within hue are those of whole numbers."""
    plane = np.zeros((256, 256, 4), np.uint8)
    plane[..., 1], plane[..., 2] = np.mgrid[:256, :256]
    for red in range(256):
        plane[..., 0] = red
        wanted = oracle.colour(plane[..., :3], [operation])
        for isa, kernel in kernels.items():
            pixels = plane.copy()
            kernel.in_place(pixels, [operation])
            assert np.array_equal(pixels[..., :3], wanted), (isa, red)


FACTORS = [0, 1e-9, 0.3, 0.4999, 0.5, 0.51, 1, 1.5, 1.50001, 2, 2.2, 60, 65, 128, 129, 256, 1e9]


@pytest.mark.parametrize("factor", [*FACTORS, math.inf])
@pytest.mark.parametrize("grey", [0, 1, 100, 254, 255])
def test_every_level_blended_with_every_kind_of_factor(kernels, factor, grey):
    """The mean is ``grey`` by way of many pixels beside the 256 levels."""
    levels = np.arange(256, dtype=np.uint8)[:, None].repeat(4, axis=1)
    pixels = np.concatenate([levels, np.full((100_000, 4), grey, np.uint8)])
    assert oracle.mean_grey(pixels[:, :3]) == grey
    assert_all_equal_the_oracle(kernels, pixels, [(CONTRAST, q(factor))])
    assert_all_equal_the_oracle(kernels, levels, [(BRIGHTNESS, q(factor))])


@pytest.mark.parametrize("operation", [INVERT, *[(SOLARIZE, t) for t in (0, 1, 128, 255, 256)]])
def test_every_level_inverted_and_solarized(kernels, operation):
    levels = np.arange(256, dtype=np.uint8)[:, None].repeat(4, axis=1)
    operation = (operation, 0) if operation == INVERT else operation
    assert_all_equal_the_oracle(kernels, levels, [operation])


@pytest.mark.parametrize("bits", range(9))
def test_every_level_posterized(kernels, bits):
    levels = np.arange(256, dtype=np.uint8)[:, None].repeat(4, axis=1)
    assert_all_equal_the_oracle(kernels, levels, [(POSTERIZE, 256 - (1 << (8 - bits)))])


NUMBER = {
    BRIGHTNESS: st.floats(0, 3).map(q),
    CONTRAST: st.floats(0, 3).map(q),
    SATURATION: st.one_of(st.floats(0, 3), st.floats(0, math.inf)).map(q),
    HUE: st.integers(0, 255),
    SOLARIZE: st.integers(0, 256),
    POSTERIZE: st.integers(0, 8).map(lambda bits: 256 - (1 << bits)),
}
ONE = st.integers(0, 8).flatmap(
    lambda which: st.tuples(st.just(which), NUMBER.get(which, st.just(0)))
)


@given(
    st.lists(ONE, max_size=9),
    st.sampled_from([(1, 1), (1, 7), (9, 37), (32, 32), (33, 31), (1, 4000), (70, 61)]),
    st.integers(0, 1000),
)
@settings(max_examples=150, deadline=None)
def test_any_list_of_operations_on_any_size(kernels, ops, size, seed):
    assert_all_equal_the_oracle(kernels, random_image(seed, *size), ops)


@pytest.mark.parametrize("count", [*range(1, 70), 1023, 1024, 1025, 4096])
def test_packed_writes_three_of_four_bytes_and_none_beyond_the_end(kernels, count):
    pixels = random_image(count, 1, count)
    for isa, kernel in kernels.items():
        rgb = np.full(3 * count + 64, 77, np.uint8)
        kernel.packed(rgb, pixels)
        assert np.array_equal(rgb[: 3 * count], pixels[0, :, :3].ravel()), isa
        assert (rgb[3 * count :] == 77).all(), isa


def test_the_fourth_byte_is_never_read(kernels):
    ops = [(HUE, 9), (CONTRAST, q(1.3)), (SATURATION, q(0.4))]
    first = random_image(3, 41, 27)
    second = first.copy()
    second[..., 3] ^= 255
    for kernel in kernels.values():
        kernel.in_place(first_copy := first.copy(), ops)
        kernel.in_place(second_copy := second.copy(), ops)
        assert np.array_equal(first_copy[..., :3], second_copy[..., :3])


def test_neon_gives_the_same_hash_as_plain(run_program):
    compiler, under = "aarch64-linux-gnu-gcc", "qemu-aarch64"
    neon = run_program("colour_program.c", "neon", "-static", compiler, under)
    assert neon == run_program("colour_program.c", "plain")


def test_sanitizers_find_nothing(kernels, run_program):
    checks = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
    plain = run_program("colour_program.c", "plain")
    assert {run_program("colour_program.c", isa, checks) for isa in kernels} == {plain}


# --- the oracle and Pillow ---


def compared(ours: np.ndarray, theirs: Image.Image) -> tuple[float, int, float]:
    """The share of equal levels, the largest difference, and the shift of the mean."""
    difference = ours.astype(int) - np.asarray(theirs)
    return float(np.mean(difference == 0)), int(abs(difference).max()), float(difference.mean())


ON_PILLOW = {
    BRIGHTNESS: functional.adjust_brightness,
    CONTRAST: functional.adjust_contrast,
    SATURATION: functional.adjust_saturation,
}


@pytest.mark.parametrize("operation", ON_PILLOW)
@pytest.mark.parametrize("bounds", [(0.6, 1.4), (0.0, 2.0), (2.0, 300.0)])
def test_blends_are_nearly_always_pillows(operation, bounds):
    rng, results = np.random.default_rng(operation), []
    for seed in range(60):
        image, factor = random_image(seed, 60, 70)[..., :3], float(rng.uniform(*bounds))
        theirs = ON_PILLOW[operation](Image.fromarray(image), factor)
        results.append(compared(oracle.colour(image, [(operation, q(factor))]), theirs))
    equal, largest, shift = map(np.array, zip(*results, strict=True))
    assert equal.mean() > 0.999
    assert largest.max() <= 1
    assert abs(shift.mean()) < 0.0005


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 255.0, 256.0, 1e6])
@pytest.mark.parametrize("operation", ON_PILLOW)
def test_blends_by_these_factors_are_pillows(operation, factor):
    image = random_image(5, 60, 70)[..., :3]
    theirs = ON_PILLOW[operation](Image.fromarray(image), factor)
    assert compared(oracle.colour(image, [(operation, q(factor))]), theirs) == (1, 0, 0)


def test_hue_and_saturation_are_nearly_always_pillows():
    """S always is; H is one more where Pillow's float32 falls below a whole number."""
    plane = np.zeros((256, 256, 3), np.uint8)
    plane[..., 1], plane[..., 2] = np.mgrid[:256, :256]
    different = 0
    for red in range(0, 256, 3):
        plane[..., 0] = red
        h, s = oracle.hue_and_saturation(plane)
        theirs = np.asarray(Image.fromarray(plane).convert("HSV")).astype(int)
        assert np.array_equal(s, theirs[..., 1])
        assert set(np.unique(h - theirs[..., 0])) <= {0, 1}
        different += np.count_nonzero(h != theirs[..., 0])
    assert different / (86 * 65536) < 0.003


def test_hue_is_nearly_always_pillows():
    rng, results = np.random.default_rng(2), []
    for seed in range(120):
        image, factor = random_image(seed, 60, 70)[..., :3], float(rng.uniform(-0.5, 0.5))
        theirs = functional.adjust_hue(Image.fromarray(image), factor)
        turn = int(hue_numbers(np.array([factor]))[0])
        results.append(compared(oracle.colour(image, [(HUE, turn)]), theirs))
    equal, largest, shift = map(np.array, zip(*results, strict=True))
    assert equal.mean() > 0.997
    assert largest.max() <= 6  # by one level of H, of the most saturated colours
    assert abs(shift.mean()) < 0.002


def assert_is_pillows(law: Law, theirs: Callable[[Image.Image], Image.Image]) -> None:
    (made,) = operations(law, {}, 1)
    image = random_image(1, 60, 70)[..., :3]
    assert compared(oracle.colour(image, made), theirs(Image.fromarray(image))) == (1, 0, 0)


@pytest.mark.parametrize("law", [GrayscaleLaw(3), GrayscaleLaw(1), RandomGrayscaleLaw()], ids=repr)
def test_greyscale_is_pillows(law):
    assert_is_pillows(law, lambda image: functional.rgb_to_grayscale(image, 3))


def test_invert_is_pillows():
    assert_is_pillows(RandomInvertLaw(), functional.invert)


@pytest.mark.parametrize("threshold", [-3.5, 0, 127.5, 128, 255, 256.0, -math.inf, math.nan, 1e300])
def test_solarize_is_pillows_with_any_threshold(threshold):
    law = RandomSolarizeLaw(threshold=threshold)
    assert_is_pillows(law, lambda image: functional.solarize(image, threshold))


@pytest.mark.parametrize("bits", range(1, 9))
def test_posterize_is_pillows(bits):
    law = RandomPosterizeLaw(bits=bits)
    assert_is_pillows(law, lambda image: functional.posterize(image, bits))


def test_posterize_to_no_bits_which_pillow_refuses_is_black():
    assert_is_pillows(RandomPosterizeLaw(bits=0), lambda image: Image.new("RGB", image.size))


# --- from draws to operations ---


def test_jitter_in_the_drawn_order_as_torchvision_does_it():
    law = ColorJitterLaw(0.4, 0.4, 0.4, 0.1)
    rng, count, results = np.random.default_rng(4), 80, []
    columns = {"fn_idx": rng.permuted(np.tile(np.arange(4), (count, 1)), axis=1)}
    for name in ("brightness", "contrast", "saturation"):
        columns[f"{name}_factor"] = rng.uniform(0.6, 1.4, count)
    columns["hue_factor"] = rng.uniform(-0.1, 0.1, count)
    made = operations(law, columns, count)
    assert made.shape == (count, 4, 2) and made.dtype == np.int32
    for k in range(count):
        image = random_image(k, 60, 70)[..., :3]
        theirs = Image.fromarray(image)
        for place in columns["fn_idx"][k]:
            name = ("brightness", "contrast", "saturation", "hue")[place]
            change = getattr(functional, f"adjust_{name}")
            theirs = change(theirs, float(columns[f"{name}_factor"][k]))
        results.append(compared(oracle.colour(image, made[k]), theirs))
    equal, _, shift = map(np.array, zip(*results, strict=True))
    assert equal.mean() > 0.996
    assert abs(shift.mean()) < 0.003


def test_what_the_settings_leave_out_and_what_did_not_happen_is_nothing():
    law = ColorJitterLaw(contrast=0.4, hue=0.1)
    columns = {
        "fn_idx": np.array([[3, 2, 1, 0], [0, 1, 2, 3], [0, 1, 2, 3]]),
        "brightness_factor": None,
        "contrast_factor": np.array([1.25, 0.75, 1.0]),
        "saturation_factor": None,
        "hue_factor": np.array([-0.1, 0.1, 0.0]),
    }
    assert operations(law, columns, 3, on=np.array([True, True, False])).tolist() == [
        [[HUE, 256 - 25], [0, 0], [CONTRAST, 16384], [0, 0]],
        [[0, 0], [CONTRAST, -16384], [0, 0], [HUE, 25]],
        [[0, 0]] * 4,
    ]


def test_blend_numbers_are_as_exact_as_sixteen_bits_allow():
    factors = np.array([0, 0.4, 0.5, 1, 1.1, 1.5, 1.75, 3.3, 200.3, 256, 257, math.inf])
    wanted = [-65536, -39322, -32768, 0, 6554, 32768, 49152, 150736, 13061120]
    assert blend_numbers(factors).tolist() == [*wanted, *[255 * 65536] * 3]


@given(st.floats(0, 256))
def test_blend_numbers_have_sixteen_bits_and_round_once(factor):
    (number,) = blend_numbers(np.array([factor])).tolist()
    exact = (factor - 1) * 65536
    unit = 1 << max(0, abs(number).bit_length() - 15)  # 16 bits with the sign
    assert number % unit == 0 or number == -unit * 16384
    assert abs(number - exact) <= unit / 2


def test_hue_numbers_are_cut_off_towards_zero_and_wrap_around():
    factors = np.array([-0.5, -0.3, -0.001, 0, 0.001, 0.1, 0.5])
    assert hue_numbers(factors).tolist() == [129, 180, 0, 0, 0, 25, 127]


def test_operations_are_numbered_as_in_the_oracle():
    names = [operation.name.lower() for operation in Operation]
    assert [one.__name__ for one in oracle.OPERATIONS[1:]] == names[1:]
