"""What many images draw at once is, number for number, what each would draw alone.

The reference is written here from what the documentation says: words by ``hashlib``, laws in plain
Python, image by image.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2

from singleimg.drawing.describe import LAWS, step_of_entry
from singleimg.drawing.pipeline import Pipeline
from singleimg.errors import UserError
from singleimg.transforms import elementary
from tests.conftest import ROOT

V2 = "torchvision.transforms.v2"
OURS = "singleimg.transforms"
Size = tuple[int, int]


class Words:
    """The stream of (seed, index, lane)."""

    def __init__(self, *key: int) -> None:
        self.key, self.taken = key, 0

    def word(self) -> int:
        block, place = divmod(self.taken, 8)
        data = b"".join(n.to_bytes(8, "little") for n in (*self.key, block))
        digest = blake2b(data, digest_size=64, person=b"singleimg.draw.1").digest()
        self.taken += 1
        return int.from_bytes(digest[8 * place : 8 * place + 8], "little")

    def uniform(self) -> float:
        return (self.word() >> 11) / 2**53

    def below(self, n: int) -> int:
        return self.word() * n >> 64

    def corner(self, rows: int, columns: int) -> tuple[int, int]:
        row, column = self.uniform(), self.uniform()
        return int(row * (rows + 1)), int(column * (columns + 1))

    def order(self, n: int) -> list[int]:
        order = list(range(n))
        for last in range(n - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order


def log_uniform(low: float, high: float, u: float) -> float:
    start = elementary.log(low)
    return elementary.exp(start + (elementary.log(high) - start) * u)


def square_crop(words: Words, size: Size, fraction: float) -> dict[str, Any]:
    side = int(fraction * min(size))
    top, left = words.corner(size[0] - side, size[1] - side)
    return {"top": top, "left": left, "height": side, "width": side}


def crop_resize_affine(
    words: Words, size: Size, scale: list | None, degrees: float, shear: float, randinterp: bool
) -> dict[str, Any]:
    height, width = size
    if scale is None:
        h = w = min(size)
        top, left = (height - h) // 2, (width - w) // 2
    else:
        low, high = height * width / scale[0], height * width / scale[1]
        h = w = 0
        while not (0 < w <= width and 0 < h <= height):
            first, second = words.uniform(), words.uniform()
            area = low + (high - low) * first
            aspect = log_uniform(3 / 4, 4 / 3, second)
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        top, left = words.corner(height - h, width - w)
    angle, slant, choice = (words.uniform() for _ in range(3))
    names = ("bilinear", "bicubic", "lanczos")
    return {
        "top": top, "left": left, "height": h, "width": w,
        "angle": (2 * angle - 1) * degrees, "shear": (2 * slant - 1) * shear,
        "interpolation": names[int(choice * 3)] if randinterp else "bicubic",
    }  # fmt: skip


def rotated_crop(
    words: Words, size: Size, scale: list | None, degrees: float, log: bool
) -> dict[str, Any]:
    H, W = size
    u = [words.uniform() for _ in range(5)]
    angle = (2 * u[0] - 1) * degrees
    if scale is None:
        worst = min(degrees, 45) * (math.pi / 180)
        side = min(size) / (elementary.cos(worst) + elementary.sin(worst))
        return {"angle": angle, "width": side, "height": side, "u": 0.0, "v": 0.0}
    cos = abs(elementary.cos(angle * (math.pi / 180)))
    sin = abs(elementary.sin(angle * (math.pi / 180)))
    aspect = log_uniform(3 / 4, 4 / 3, u[1])
    tallest = min(W / (aspect * cos + sin), H / (aspect * sin + cos))
    low, high = H * W / scale[0], min(H * W / scale[1], aspect * (tallest * tallest))
    area = log_uniform(low, high, u[2]) if log else low + (high - low) * u[2]
    w, h = math.sqrt(area * aspect), math.sqrt(area / aspect)
    return {
        "angle": angle, "width": w, "height": h,
        "u": (2 * u[3] - 1) * max(0.0, W - w * cos - h * sin) / 2,
        "v": (2 * u[4] - 1) * max(0.0, H - w * sin - h * cos) / 2,
    }  # fmt: skip


def random_crop(words: Words, size: Size, height: int, width: int) -> dict[str, Any]:
    rows, columns = size[0] - height, size[1] - width
    return {
        "needs_crop": rows > 0 or columns > 0,
        "top": words.below(rows + 1) if rows else 0,
        "left": words.below(columns + 1) if columns else 0,
        "height": height, "width": width, "needs_pad": False, "padding": [0, 0, 0, 0],
    }  # fmt: skip


def jitter(words: Words, size: Size, **ranges: tuple[float, float] | None) -> dict[str, Any]:
    params: dict[str, Any] = {"fn_idx": words.order(4)}
    for name in ("brightness", "contrast", "saturation", "hue"):
        bounds = ranges.get(name)
        between = lambda low, high: words.uniform() * (high - low) + low  # noqa: E731
        params[f"{name}_factor"] = None if bounds is None else between(*bounds)
    return params


def blur(words: Words, size: Size, low: float, high: float) -> dict[str, Any]:
    return {"sigma": [words.uniform() * (high - low) + low] * 2}


def gated(p: float, **params: Any) -> Callable[..., dict[str, Any]]:
    return lambda words, size: (
        {"apply": True, **params} if words.uniform() < p else {"apply": False}
    )


def nothing(words: Words, size: Size) -> dict[str, Any]:
    return {}


def by(function: Callable, *values: Any, **more: Any) -> Callable[..., dict[str, Any]]:
    return lambda words, size: function(words, size, *values, **more)


ENTRIES: list[tuple[dict[str, Any], Callable[..., dict[str, Any]]]] = [
    ({"_target_": f"{OURS}.RandomSquareCrop", "fraction": 0.5}, by(square_crop, 0.5)),
    (
        {"_target_": f"{OURS}.CropResizeAffine", "size": 32, "degrees": 30, "shear": 9},
        by(crop_resize_affine, [500, 1], 30, 9, False),
    ),
    (  # where many tries are needed: more words than two blocks have
        {"_target_": f"{OURS}.CropResizeAffine", "size": 32, "scale": [4, 1], "randinterp": True},
        by(crop_resize_affine, [4, 1], 0, 0, True),
    ),
    (
        {"_target_": f"{OURS}.CropResizeAffine", "size": 32, "scale": None, "degrees": 180},
        by(crop_resize_affine, None, 180, 0, False),
    ),
    ({"_target_": f"{OURS}.RotatedCrop", "size": 32}, by(rotated_crop, [1000, 1], 35, False)),
    (
        {"_target_": f"{OURS}.RotatedCrop", "size": 32, "area": "log", "degrees": 180},
        by(rotated_crop, [1000, 1], 180, True),
    ),
    (
        {"_target_": f"{OURS}.RotatedCrop", "size": 32, "scale": None, "degrees": 20},
        by(rotated_crop, None, 20, False),
    ),
    ({"_target_": f"{V2}.RandomHorizontalFlip"}, gated(0.5)),
    ({"_target_": f"{V2}.RandomVerticalFlip", "p": 0.3}, gated(0.3)),
    ({"_target_": f"{V2}.RandomInvert", "p": 1}, gated(1)),
    ({"_target_": f"{V2}.RandomGrayscale"}, gated(0.1, num_input_channels=3)),
    ({"_target_": f"{V2}.RandomSolarize", "threshold": 130, "p": 0}, gated(0)),
    ({"_target_": f"{V2}.RandomPosterize", "bits": 3}, gated(0.5)),
    ({"_target_": f"{V2}.Identity"}, nothing),
    ({"_target_": f"{V2}.Grayscale"}, nothing),
    ({"_target_": f"{V2}.Resize", "size": 40}, nothing),
    ({"_target_": f"{V2}.CenterCrop", "size": 40}, nothing),
    ({"_target_": f"{V2}.RandomCrop", "size": [40, 48]}, by(random_crop, 40, 48)),
    (
        {"_target_": f"{V2}.ColorJitter", "brightness": 0.4, "hue": 0.1, "saturation": [1, 3]},
        by(jitter, brightness=(0.6, 1.4), hue=(-0.1, 0.1), saturation=(1.0, 3.0)),
    ),
    (
        {"_target_": f"{V2}.GaussianBlur", "kernel_size": 7, "sigma": [0.2, 2.5]},
        by(blur, 0.2, 2.5),
    ),
]


def label(entry: Any) -> str:
    return str(entry.get("_target_")).rpartition(".")[2] if isinstance(entry, dict) else ""


def test_every_law_is_tried_here():
    assert {entry["_target_"] for entry, _ in ENTRIES} == set(LAWS)


INDICES = st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=40)
SEEDS = st.integers(0, 2**63 - 1)
SIZES = st.lists(st.tuples(st.integers(100, 280), st.integers(100, 280)), min_size=1, max_size=4)


@pytest.mark.parametrize(("entry", "alone"), ENTRIES, ids=label)
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, indices=INDICES, sizes=SIZES)
def test_each_law_draws_for_many_what_it_draws_for_one(entry, alone, seed, indices, sizes):
    draws = Pipeline([step_of_entry(entry, 0)]).draw_many(
        seed, indices, len(sizes), sizes.__getitem__
    )
    assert draws.indices.tolist() == indices
    for sample, index in zip(draws.samples, indices, strict=True):
        source = Words(seed, index, 0).below(len(sizes))
        assert (sample.seed, sample.index, sample.source) == (seed, index, source)
        expected = alone(Words(seed, index, 1), sizes[source])
        assert sample.params == (expected,)
        assert list(sample.params[0]) == list(expected)


@pytest.mark.parametrize(("entry", "alone"), ENTRIES, ids=label)
def test_thousands_at_once_draw_the_same(entry, alone):
    draws = Pipeline([step_of_entry(entry, 0)]).draw_many(3, range(2000), 1, lambda _: (150, 200))
    expected = [alone(Words(3, index, 1), (150, 200)) for index in range(2000)]
    assert [sample.params[0] for sample in draws.samples] == expected


# --- containers ----------------------------------------------------------------------------------


def entry(kind: str, *children: dict, **more: Any) -> dict[str, Any]:
    return {"_target_": f"{V2}.{kind}", "transforms": list(children), **more}


CROP = {"_target_": f"{V2}.RandomCrop", "size": [40, 48]}
FLIP = {"_target_": f"{V2}.RandomHorizontalFlip"}
SQUARE = {"_target_": f"{OURS}.RandomSquareCrop", "fraction": 0.75}


def test_what_a_container_draws_depends_on_what_came_before_in_each_image():
    """In random order: of each image the crop's place depends on whether the square was cut."""
    both = step_of_entry(entry("RandomOrder", CROP, entry("RandomApply", SQUARE, FLIP)), 0)
    draws = Pipeline([both]).draw_many(1, range(300), 1, lambda _: (90, 64))
    seen = set()
    for index, sample in enumerate(draws.samples):
        words, size, drawn = Words(1, index, 1), (90, 64), []
        order = words.order(2)
        for position in order:
            if position == 0:
                params = random_crop(words, size, 40, 48)
                size = (40, 48)
                drawn.append({"name": "RandomCrop", "params": params})
                continue
            inner: dict[str, Any] = {"order": [], "transforms": []}
            if words.uniform() < 0.5:
                square, flip = square_crop(words, size, 0.75), gated(0.5)(words, size)
                size = (square["height"], square["width"])
                inner = {
                    "order": [0, 1],
                    "transforms": [
                        {"name": "RandomSquareCrop", "params": square},
                        {"name": "RandomHorizontalFlip", "params": flip},
                    ],
                }
            drawn.append({"name": "RandomApply", "params": inner})
            seen.add((tuple(order), bool(inner["order"])))
        assert sample.params == ({"order": order, "transforms": drawn},)
    assert len(seen) == 4


def test_columns_hold_where_a_step_happens_and_what_it_drew_there():
    steps = [step_of_entry(entry("RandomApply", CROP, FLIP, p=0.4), 0), step_of_entry(FLIP, 1)]
    draws = Pipeline(steps).draw_many(0, range(100), 1, lambda _: (90, 64))
    apply, flip = draws.steps
    assert draws.names == ("RandomApply", "RandomHorizontalFlip")
    assert apply.order.shape == (100, 2) and apply.order.dtype == np.int64
    on = apply.order[:, 0] == 0
    assert 0 < on.sum() < 100 and (apply.order[~on] == -1).all()
    crop, inner = apply.children
    assert (crop.on == on).all() and not (inner.on & ~on).any() and (inner.on != on).any()
    assert crop.columns["top"].dtype == np.int64 and crop.columns["padding"].shape == (100, 4)
    assert flip.on.dtype == bool and flip.columns == {} and apply.on is None
    for k, sample in enumerate(draws.samples):
        assert sample.params[1] == {"apply": bool(flip.on[k])}
        if on[k]:
            assert sample.params[0]["transforms"][0]["params"]["top"] == crop.columns["top"][k]


def test_columns_are_there_of_what_happens_to_no_image():
    never = step_of_entry(entry("RandomApply", CROP, FLIP, p=0), 0)
    for count in (0, 1, 7):
        drawn = Pipeline([never]).draw_many(0, range(count), 1, lambda _: (90, 64)).steps[0]
        crop = drawn.children[0]
        assert not crop.on.any() and len(crop.columns["left"]) == count


def test_a_part_of_what_was_drawn_is_what_those_images_draw():
    steps = [step_of_entry(entry("RandomOrder", CROP, FLIP, entry("RandomApply", FLIP)), 0)]
    draw = Pipeline(steps).draw_many
    whole = draw(0, range(50), 3, lambda k: (90 + k, 64))
    assert whole[10:20].samples == draw(0, range(10, 20), 3, lambda k: (90 + k, 64)).samples
    assert [whole.sample(k) for k in range(50)] == whole.samples


def test_transforms_without_a_law_draw_image_by_image_from_the_same_streams():
    """Between laws, and within a container, where all draw from one stream in turn."""
    transforms = [
        v2.RandomApply([v2.RandomHorizontalFlip(), v2.RandomAffine(20), v2.GaussianBlur(3)], p=0.7),
        v2.RandomChoice([v2.RandomRotation(9), v2.RandomCrop((20, 30)), v2.RandomInvert()]),
        v2.RandomEqualize(0.5),
    ]
    pipeline = Pipeline(transforms)
    many = pipeline.draw_many(5, range(60), 1, lambda _: (50, 60)).samples
    alone = [pipeline.draw(5, index, 1, lambda _: (50, 60)) for index in range(60)]
    assert [sample.record() for sample in many] == [sample.record() for sample in alone]
    for index, sample in enumerate(alone):
        words = Words(5, index, 1)
        happens = words.uniform() < 0.7
        assert bool(sample.params[0]["order"]) == happens
        if happens:
            flip, affine, smooth = (one["params"] for one in sample.params[0]["transforms"])
            assert flip == gated(0.5)(words, (50, 60))
            assert affine["angle"] == words.uniform() * 40 - 20
            assert smooth == blur(words, (50, 60), 0.1, 2.0)


# --- sizes and errors ----------------------------------------------------------------------------


def test_no_size_is_asked_for_that_no_draw_depends_on():
    asked: list[int] = []

    def size_of(k: int) -> Size:
        asked.append(k)
        return 90, 64

    Pipeline([step_of_entry(FLIP, 0)]).draw_many(0, range(9), 5, size_of)
    assert asked == []
    sources = Pipeline([step_of_entry(CROP, 0)]).draw_many(0, range(50), 5, size_of).sources
    assert sorted(asked) == sorted(set(sources.tolist()))  # of each source once


@pytest.mark.parametrize(
    ("described", "said"),
    [
        (
            {"_target_": f"{OURS}.RandomSquareCrop", "fraction": 0.01},
            "the source, 60×50 pixels, is smaller than the crop allows: initcrop=0.01 of its "
            "shorter side is less than one pixel, type a larger initcrop or use a larger image.",
        ),
        (
            {"_target_": f"{OURS}.CropResizeAffine", "size": 9, "scale": [2, 1], "ratio": [40, 50]},
            "no crop of scale=[2,1] fits into 3000×3000 pixels in 10,000 tries: type a larger "
            "first number of scale, or use a larger or squarer image.",
        ),
        (
            {"_target_": f"{OURS}.RotatedCrop", "size": 9, "scale": [1.1, 1], "ratio": [2, 2]},
            "scale=[1.1,1] asks for patches of at least 1/1.1 of the image, and at deg=35 some "
            "angles leave room for 1/2.49 only: type a larger first number, or a smaller deg.",
        ),
        (
            {"_target_": f"{V2}.RandomCrop", "size": 55},
            "augment.transforms[0] (RandomCrop) cannot be applied: ValueError: Required crop size "
            "(55, 55) is larger than input image size (50, 60).",
        ),
    ],
)
def test_a_picture_that_is_too_small_is_named_among_many(described, said):
    sizes = [(3000, 3000), (50, 60)]
    pipeline = Pipeline([step_of_entry(described, 0)])
    with pytest.raises(UserError) as caught:
        pipeline.draw_many(0, range(40), 2, sizes.__getitem__)
    assert str(caught.value) == said
    with pytest.raises(UserError) as first:
        for index in range(40):
            pipeline.draw(0, index, 2, sizes.__getitem__)
    assert str(first.value) == said


# --- the same on every processor -----------------------------------------------------------------

DIGEST = """
import sys
from hashlib import sha256
from singleimg import SingleImage
images = SingleImage.open({picture!r}, augment=sys.argv[1], img_size=64)
state, count = sha256(), int(sys.argv[2])
for start in range(0, count, 5000):
    draws = images.draw_many(range(start, min(start + 5000, count)))
    stack = list(draws.steps)
    while stack:
        step = stack.pop()
        stack += step.children
        for column in (step.on, step.order, *(step.columns or {{}}).values()):
            if column is not None:
                state.update(column.tobytes())
print(state.hexdigest())
"""


def digest_of_draws(preset: str, count: int, picture: str, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", DIGEST.format(picture=picture), preset, str(count)],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


PRESETS = ("weak", "script", "strong", "paper")
OLDER = "glibc.cpu.hwcaps=-FMA,-AVX2,-AVX512F"  # what libm looks at to choose among its variants


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    "count", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_an_older_processor_draws_the_same(picture, preset, count):
    here = digest_of_draws(preset, count, str(picture))
    older = {"GLIBC_TUNABLES": OLDER, "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F"}
    assert digest_of_draws(preset, count, str(picture), **older) == here
