"""Where a resize begins, and what it gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from singleimg.engines.kernels.resample import Box, canvas_part, resize, span, window
from singleimg.engines.picture import Picture

NOISE = np.random.default_rng(1).integers(0, 256, (301, 403, 3), np.uint8)


@given(
    start=st.integers(0, 500) | st.floats(0, 500),
    length=st.floats(3, 900),
    canvas=st.integers(8, 400),
    ends=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    beyond=st.booleans(),
    support=st.sampled_from([1, 2, 3]),
)
def test_a_span_covers_what_is_needed_and_knows_where_it_begins(
    start, length, canvas, ends, beyond, support
):
    first, last = sorted(round(end * (canvas - 1)) for end in ends)
    found = span(start, length, canvas, (first, last + 1), beyond, support)
    assert found.step == length / canvas
    # the first pixel of the canvas that comes out begins where the first pixel that is read does
    assert found.start == pytest.approx(start + found.first * found.step, abs=1e-6)
    slack = 0.5 / found.step + 1e-6  # a box between pixels is read from the nearest
    assert found.first <= first + slack
    assert found.first + found.count >= last + 1 - slack
    if not beyond:
        assert round(start) <= found.start and found.stop <= max(
            round(start + length), int(start + length) + 1
        )
    if found.count == found.stop - found.start:  # torch resamples nothing then
        assert found.step == 1 or (not beyond and found.count == canvas)


@pytest.mark.parametrize("filter_", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("side", [60, 87, 88, 89, 120, 250])
def test_any_part_of_a_canvas_is_that_part_of_the_whole(filter_, side):
    box = Box(17, 31, side, side + 3)
    corner = (box.left, box.top, box.left + box.width, box.top + box.height)
    whole = Image.fromarray(NOISE).crop(corner).resize((88, 88), Image.Resampling[filter_.upper()])
    picture = Picture(NOISE)
    for rows, columns in (((0, 88), (0, 88)), ((30, 60), (5, 40)), ((50, 88), (40, 88))):
        piece = canvas_part(picture, box, 88, rows, columns, beyond=False, interpolation=filter_)
        top, left = round(piece.top), round(piece.left)
        assert abs(piece.top - top) < 0.11 and abs(piece.left - left) < 0.11
        inner = slice(rows[0] - top, rows[1] - top), slice(columns[0] - left, columns[1] - left)
        expected = np.asarray(whole)[slice(*rows), slice(*columns)].astype(int)
        assert abs(piece.pixels[inner] - expected).mean() < 5


def test_resizing_is_pillows():
    for filter_, least in (("bilinear", 1.0), ("bicubic", 1.0), ("lanczos", 1.0)):
        ours = resize(Picture(NOISE), Box(5, 9, 200, 170), (77, 91), filter_).astype(int)
        image = Image.fromarray(NOISE).crop((9, 5, 179, 205))
        pillows = np.asarray(image.resize((91, 77), Image.Resampling[filter_.upper()]))
        assert abs(ours - pillows).mean() < least


def test_a_window_reflects_beyond_the_picture():
    padded = np.pad(NOISE, ((50, 50), (50, 50), (0, 0)), mode="reflect")
    for top, bottom, left, right in (
        (10, 40, 20, 90),
        (-50, 5, -20, 403),
        (290, 351, 400, 453),
        (-9, 310, -1, 404),
    ):
        expected = padded[top + 50 : bottom + 50, left + 50 : right + 50]
        assert (window(NOISE, top, bottom, left, right) == expected).all()
    small = NOISE[:3, :4]
    expected = np.pad(small, ((7, 9), (8, 6), (0, 0)), mode="reflect")
    assert (window(small, -7, 12, -8, 10) == expected).all()
