"""What many images draw at once is, number for number, what each would draw alone.

The reference, ``alone``, is written from what the documentation says.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import v2

from singleimg.drawing.describe import LAWS, step_of_entry
from singleimg.drawing.pipeline import Pipeline
from singleimg.errors import UserError
from tests.drawing.alone import (
    ENTRIES,
    OURS,
    V2,
    Size,
    Words,
    blur,
    gated,
    random_crop,
    square_crop,
)


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
            "the source, 60×50 pixels, is too small for initcrop=0.01, which cuts less than one "
            "pixel of it: type a larger initcrop, or use a larger image.",
        ),
        (
            {"_target_": f"{OURS}.CropResizeAffine", "size": 9, "scale": [2, 1], "ratio": [40, 50]},
            "no crop of scale=[2,1] fits into 3000×3000 pixels in 10,000 tries: type a larger "
            "first number of scale, or use a larger or squarer image.",
        ),
        (
            {"_target_": f"{OURS}.RotatedCrop", "size": 9, "scale": [1.1, 1], "ratio": [2, 2]},
            "scale=[1.1,1] needs patches of at least 1/1.1 of the image, and at deg=35 some angles "
            "leave room for only 1/2.49: type a larger first number, or a smaller deg.",
        ),
        (
            {"_target_": f"{V2}.RandomCrop", "size": 55},
            "augment.transforms[0] (RandomCrop) cannot be applied: ValueError: Required crop size "
            "(55, 55) is larger than input image size (50, 60): change its settings.",
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
