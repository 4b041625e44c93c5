"""Sizes, times and speeds as people read them."""

from __future__ import annotations

import pytest

from singleimg.system.figures import duration, rate, size


@pytest.mark.parametrize(
    "count, text", [(5, "5 B"), (15_300, "15.3 kB"), (19_000_000_000, "19 GB"), (2e12, "2 TB")]
)
def test_sizes(count, text):
    assert size(count) == text


@pytest.mark.parametrize(
    "seconds, text", [(0.2, "1 s"), (86, "86 s"), (125, "2 min"), (13_200, "3 h 40 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    "count, seconds, text", [(14_670, 10, "1,467"), (381, 10, "38"), (1, 4, "0.25")]
)
def test_speeds(count, seconds, text):
    assert rate(count, seconds) == text
