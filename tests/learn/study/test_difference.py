"""Differences of rows: what is sure, what could have been seen, and what nobody can know."""

from __future__ import annotations

from math import inf, sqrt
from statistics import stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from singleimg.learn.study.difference import Difference, difference

POINTS = st.integers(-800, 800).map(lambda k: k / 8)  # eighths, whose sums are exact
# One-sided 95 % points of Student's distribution, of any printed table, by degrees of freedom.
STUDENT = {1: 6.314, 2: 2.920, 3: 2.353, 4: 2.132, 9: 1.833}


@pytest.mark.parametrize(("degrees", "factor"), STUDENT.items())
def test_the_half_width_is_students(degrees: int, factor: float) -> None:
    pairs = [float(k % 3) for k in range(degrees + 1)]
    expected = factor * stdev(pairs) / sqrt(degrees + 1)
    assert difference(pairs).half == pytest.approx(expected, rel=2e-4)


def test_of_three_pairs_it_is_one_point_sixty_nine_standard_deviations() -> None:
    assert difference([-1.0, 0.0, 1.0]).half == pytest.approx(1.686, abs=1e-3)


@given(st.lists(POINTS, min_size=2, max_size=9), POINTS)
def test_a_shift_of_all_pairs_shifts_the_interval(pairs: list[float], shift: float) -> None:
    one, moved = difference(pairs), difference([pair + shift for pair in pairs])
    assert moved.points == pytest.approx(one.points + shift, abs=1e-9)
    assert moved.half == pytest.approx(one.half, abs=1e-9)
    assert moved.low == pytest.approx(one.low + shift, abs=1e-6)
    assert one.low <= one.points <= one.high


def test_one_in_twenty_intervals_of_noise_lies_above_zero() -> None:
    random = np.random.default_rng(0)
    above = [difference(random.normal(0, 1, 3).tolist()).low > 0 for _ in range(4000)]
    assert np.mean(above) == pytest.approx(0.05, abs=0.012)


@given(POINTS)
def test_of_one_pair_nothing_is_sure(point: float) -> None:
    one = difference([point])
    assert one == Difference(point, None) and (one.low, one.high) == (-inf, inf)


def test_they_are_written_with_their_sign_and_half_width() -> None:
    assert str(Difference(3.14, 0.25)) == "+3.1 ± 0.2"
    assert str(Difference(-0.96, 1.25)) == "-1.0 ± 1.2"
    assert str(Difference(2, None)) == "+2.0 (1 seed)"
