"""Values: what is sure, what is not, and what nobody can know."""

from __future__ import annotations

from math import inf, sqrt
from statistics import stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from singleimg.learn.study.values import Value, value

# Eighths of points, whose sums are exact.
POINTS = st.integers(-800, 800).map(lambda k: k / 8)
VALUES = st.builds(Value, POINTS, st.none() | st.integers(0, 80).map(lambda k: k / 8))


@given(VALUES, VALUES)
def test_errors_of_differences_add_in_squares_and_an_unknown_one_stays_unknown(
    one: Value, other: Value
) -> None:
    difference = one - other
    assert difference.points == one.points - other.points
    if one.error is None or other.error is None:
        assert difference.error is None
    else:
        assert difference.error**2 == pytest.approx(one.error**2 + other.error**2)


@given(VALUES, VALUES)
def test_a_difference_the_other_way_round_is_surely_smaller(one: Value, other: Value) -> None:
    assert (one - other).above() == (other - one).below()
    assert (one - other).error == (other - one).error


@given(VALUES, POINTS)
def test_surely_is_by_more_than_two_standard_errors(one: Value, bound: float) -> None:
    reach = inf if one.error is None else 2 * one.error
    assert one.above(bound) == (one.points - bound > reach)
    assert one.below(bound) == (bound - one.points > reach)
    assert not (one.above(bound) and one.below(bound))


@given(VALUES)
def test_nothing_is_surely_unlike_itself(one: Value) -> None:
    assert not (one - one).above() and not (one - one).below()


@given(st.lists(POINTS, min_size=2, max_size=9), POINTS)
def test_a_value_is_a_mean_and_the_standard_error_of_it(points: list, shift: float) -> None:
    one, moved = value(points), value([point + shift for point in points])
    assert one.points == pytest.approx(sum(points) / len(points), abs=1e-9)
    assert one.error == pytest.approx(stdev(points) / sqrt(len(points)), abs=1e-9)
    assert moved.points == pytest.approx(one.points + shift, abs=1e-9)
    assert moved.error == pytest.approx(one.error, abs=1e-9)


@given(POINTS)
def test_of_one_seed_the_error_is_unknown_and_nothing_sure(point: float) -> None:
    one = value([point])
    assert one == Value(point, None)
    assert not one.above(-1000) and not one.below(1000)


def test_values_are_written_with_their_sign_and_error() -> None:
    assert str(Value(3.14, 0.25)) == "+3.1 ± 0.2"
    assert str(Value(-0.96, 1.25)) == "-1.0 ± 1.2"
    assert str(Value(2, None)) == "+2.0 (1 seed)"
