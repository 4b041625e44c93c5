"""Maps of use, against a count of every place by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from singleimg.report.heat import heat_map


def test_a_box_covers_its_pixels_and_no_others():
    box = np.array([[[2, 1], [5, 1], [5, 4], [2, 4]]], float)
    counts = heat_map(box, (6, 9))
    expected = np.zeros((6, 9), int)
    expected[1:4, 2:5] = 1
    assert np.array_equal(counts, expected)


@given(
    st.lists(
        st.tuples(*[st.floats(-5, 45)] * 2, st.floats(1, 30), st.floats(1, 30), st.floats(0, 360)),
        max_size=5,
    )
)
@settings(max_examples=40, deadline=None)
def test_a_pixel_counts_for_every_turned_box_that_holds_its_middle(boxes):
    corners, expected, sure = [], np.zeros((30, 40), int), np.full((30, 40), True)
    middles = np.stack(np.meshgrid(np.arange(40), np.arange(30)), -1) + 0.5
    for x, y, width, height, angle in boxes:
        s, c = np.sin(np.radians(angle)), np.cos(np.radians(angle))
        box = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2 * [width, height]
        corners.append(box @ np.array([[c, s], [-s, c]]) + [x, y])
        own = (middles - [x, y]) @ np.array([[c, -s], [s, c]])  # along the sides of the box
        beyond = (np.abs(own) - np.array([width, height]) / 2).max(-1)
        expected += beyond < 0
        sure &= np.abs(beyond) > 1e-9
    found = heat_map(np.array(corners).reshape(-1, 4, 2), (30, 40))
    assert np.array_equal(found[sure], expected[sure])


def test_large_pictures_get_small_maps_and_what_is_not_known_does_not_count():
    whole = np.array([[[0, 0], [4000, 0], [4000, 1000], [0, 1000]]], float)
    counts = heat_map(np.concatenate([whole, whole, whole * np.nan]), (1000, 4000))
    assert counts.shape == (128, 512) and (counts == 2).all()


def test_many_are_counted_in_parts(monkeypatch):
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 20, (50, 2))
    high = low + rng.uniform(1, 20, (50, 2))
    boxes = np.stack([low, np.stack([high[:, 0], low[:, 1]], 1), high,
                      np.stack([low[:, 0], high[:, 1]], 1)], 1)  # fmt: skip
    at_once = heat_map(boxes, (40, 40))
    monkeypatch.setattr("singleimg.report.heat._AT_ONCE", 200)
    assert np.array_equal(heat_map(boxes, (40, 40)), at_once)
    assert at_once.sum() == pytest.approx(
        (np.rint(high[:, 0]) - np.rint(low[:, 0])) @ (np.rint(high[:, 1]) - np.rint(low[:, 1])),
        rel=0.02,
    )
