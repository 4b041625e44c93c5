"""Sizes and times as people read them."""

from __future__ import annotations

import pytest

from singleimg.errors import UserError
from singleimg.jobs.estimate import Estimate, check_disk, duration, size


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


def test_what_cannot_fit_is_refused(tmp_path):
    with pytest.raises(UserError) as caught:
        check_disk(tmp_path / "not" / "there", 10**18)
    assert str(caught.value).startswith(
        f"targetpath={tmp_path}/not/there needs about 1e+06 TB and "
    )
    assert str(caught.value).endswith(
        " are free: type a smaller num_imgs, or a targetpath on another disk."
    )
    assert check_disk(tmp_path, 1) > 0


def test_a_person_is_told_size_and_time():
    assert Estimate(7200, 10**9).describe(2) == "about 1 GB, 1 h 00 min"
